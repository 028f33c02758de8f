"""What can go wrong for a client, one tree.

    ClientError                      code, message for a person, status, request_id, details, retryable
    ├── Refused                      the server said no; which one, `code` says
    │   ├── Unauthorized       401   unauthorized; a socket closed with 4401
    │   ├── Forbidden          403   forbidden, csrf_failed, premium_required; a socket closed with 4403
    │   ├── NotFound           404   not_found, agent_not_found: also what belongs to another workspace
    │   ├── Conflict           409   idempotency_conflict, not_resumable, key_missing …
    │   │   └── RunInProgress        run_in_progress: this agent still answers there; see `policy`
    │   ├── Invalid       4xx, 413   invalid_request, invalid_input, file_too_large, frame_too_large …
    │   ├── BudgetExceeded     402   budget_exceeded; the message names the budget
    │   ├── TooManyRequests    429   too_many_requests; `retry_after` in seconds or None
    │   └── ServerFault        5xx   unexpected_error, api_error …
    ├── RunFailed                    the run ended as failed; `answer` has its partial text
    ├── Unreachable                  no answer within the time that was given: offline, connection_lost, timeout
    │   └── SocketBlocked            socket_blocked: HTTP works, but something on the way lets no socket through
    ├── ProtocolMismatch             what answers there does not speak this protocol
    └── ClientClosed                 the client was closed while something still waited

Whoever wants to catch everything that Nexus can raise catches `nexus_core.NexusError`, the root above this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UNEXPECTED_MESSAGE, NexusError


class ClientError(NexusError):
    """Root of the client's tree. `status` is the HTTP status, None where it did not come over HTTP."""

    code = "client_error"

    def __init__(
        self,
        message: str = UNEXPECTED_MESSAGE,
        *,
        code: str | None = None,
        status: int | None = None,
        request_id: str = "",
        details: Any = None,
        retryable: bool | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, cause=cause)
        if code is not None:
            self.code = code
        if retryable is not None:
            self.retryable = retryable
        self.status = status
        self.request_id = request_id
        self.details = details


class Refused(ClientError):
    code = "refused"


class Unauthorized(Refused):
    code = "unauthorized"


class Forbidden(Refused):
    code = "forbidden"


class NotFound(Refused):
    code = "not_found"


class Conflict(Refused):
    code = "conflict"


class RunInProgress(Conflict):
    code = "run_in_progress"


class Invalid(Refused):
    code = "invalid_request"


class BudgetExceeded(Refused):
    code = "budget_exceeded"


class TooManyRequests(Refused):
    """`retry_after`: seconds that the server asks to wait, None when it did not say."""

    code = "too_many_requests"
    retryable = True
    retry_after: float | None = None


class ServerFault(Refused):
    code = "unexpected_error"


class RunFailed(ClientError):
    """The run ended as `failed`. `answer` is an `Answer`: what had come is kept; `code` is its error chunk's."""

    code = "run_failed"
    answer: Any = None


class Unreachable(ClientError):
    code = "offline"
    retryable = True


class SocketBlocked(Unreachable):
    code = "socket_blocked"


class ProtocolMismatch(ClientError):
    code = "protocol_mismatch"


class ClientClosed(ClientError):
    code = "client_closed"


BY_CODE: Mapping[str, type[Refused]] = {
    "unauthorized": Unauthorized,
    "forbidden": Forbidden,
    "csrf_failed": Forbidden,
    "premium_required": Forbidden,
    "not_found": NotFound,
    "agent_not_found": NotFound,
    "run_in_progress": RunInProgress,
    "idempotency_conflict": Conflict,
    "not_resumable": Conflict,
    "key_missing": Conflict,
    "invalid_request": Invalid,
    "invalid_input": Invalid,
    "invalid_cursor": Invalid,
    "invalid_json": Invalid,
    "invalid_frame": Invalid,
    "unknown_frame": Invalid,
    "file_too_large": Invalid,
    "frame_too_large": Invalid,
    "context_length_exceeded": Invalid,
    "budget_exceeded": BudgetExceeded,
    "too_many_requests": TooManyRequests,
    "rate_limit_exceeded": TooManyRequests,
}
_BY_STATUS: Mapping[int, type[Refused]] = {
    401: Unauthorized,
    402: BudgetExceeded,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    429: TooManyRequests,
}


def kind_of(code: str, status: int | None) -> type[Refused]:
    """The class for a code; a code of a newer server is judged by its HTTP status."""
    if code in BY_CODE:
        return BY_CODE[code]
    if status is None:
        return Refused
    return _BY_STATUS.get(status) or (ServerFault if status >= 500 else Invalid)


def refusal(
    code: str,
    message: str,
    *,
    status: int | None = None,
    request_id: str = "",
    details: Any = None,
    retry_after: float | None = None,
) -> Refused:
    """The error for what the server said, over HTTP or in an `error` frame."""
    kind = kind_of(code, status)
    error = kind(message, code=code, status=status, request_id=request_id, details=details)
    if isinstance(error, TooManyRequests):
        error.retry_after = retry_after
    return error
