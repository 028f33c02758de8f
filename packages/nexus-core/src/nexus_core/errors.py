"""The errors of the framework, one tree.

    NexusError                       code, message for a person, retryable, http_status
    ├── LLMError                     provider, model, cause                [E3]
    │   ├── AuthenticationFailed     401, 403  authentication_error
    │   ├── KeyMissing                         key_missing: says which variable to set
    │   ├── RateLimited              429       rate_limit_exceeded, retry_after (s)
    │   ├── ProviderUnavailable      500, 529 … api_error: also connection faults
    │   ├── ContextTooLong                     context_length_exceeded
    │   ├── BadProviderRequest       400, 404, 413, 422  invalid_request
    │   ├── StreamBroken                       stream_broken: ended without a stop reason
    │   ├── Refused                            refusal: the model declined
    │   └── ObjectInvalid                      object_invalid: no answer in the form that was asked for
    ├── AgentError                   agent_id, cause                       [E3]
    │   ├── AgentNotFound            404       agent_not_found
    │   └── PremiumRequired          403       premium_required
    ├── ToolError                    tool_error: told to the model
    │   ├── ToolInputInvalid                   tool_input_invalid
    │   ├── ToolTimeout                        tool_timeout
    │   └── ToolNotFound                       tool_not_found
    ├── RAGError                     query, cause                          [E3]
    ├── BudgetExceeded               402       budget_exceeded
    │   └── PriceUnknown             402       price_unknown: a hard budget, and no price to hold it by
    ├── RunCancelled                           cancelled
    └── RunFenced                              fenced: another owner took the run over

`message` is fit for a person, `code` for a program. Details of a provider's
answer go to `cause`, never to the screen.
"""

from __future__ import annotations

# What people read, from the documents [E1, E2].
AUTH_MESSAGE = "Authentication error. Please check your API credentials."
RATE_MESSAGE = "Rate limit exceeded. Please try again in a moment."
SERVER_MESSAGE = "{provider} API is experiencing issues. Please try again."
CONTEXT_MESSAGE = "Message too long for this model"
UNEXPECTED_MESSAGE = "An unexpected error occurred."


class NexusError(Exception):
    """Root of the tree. `code` for programs, `message` for people."""

    code: str = "unexpected_error"
    retryable: bool = False
    http_status: int = 500

    def __init__(self, message: str = UNEXPECTED_MESSAGE, *, cause: BaseException | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


class LLMError(NexusError):
    """A provider failed. `provider` and `model` say where, `cause` holds the SDK's error."""

    code = "api_error"
    http_status = 502
    sent: bool = True
    """False: it is known that no byte reached the provider (no connection, no key), so it charges nothing."""

    def __init__(
        self,
        message: str = UNEXPECTED_MESSAGE,
        *,
        provider: str = "",
        model: str = "",
        status: int | None = None,
        cause: BaseException | None = None,
    ) -> None:
        super().__init__(message, cause=cause)
        self.provider = provider
        self.model = model
        self.status = status


class AuthenticationFailed(LLMError):
    code = "authentication_error"


class KeyMissing(LLMError):
    """No key for this provider; the message names the variable to set."""

    code = "key_missing"
    http_status = 409
    sent = False


class RateLimited(LLMError):
    """429. `retry_after` is in seconds, `None` when the provider did not say."""

    code = "rate_limit_exceeded"
    retryable = True
    http_status = 429

    def __init__(
        self, message: str = RATE_MESSAGE, *, retry_after: float | None = None, **kw: object
    ) -> None:
        super().__init__(message, **kw)  # type: ignore[arg-type]
        self.retry_after = retry_after


class ProviderUnavailable(LLMError):
    """5xx, 529, refused or lost connection before an answer. `retry_after` as above."""

    code = "api_error"
    retryable = True

    def __init__(self, message: str, *, retry_after: float | None = None, **kw: object) -> None:
        super().__init__(message, **kw)  # type: ignore[arg-type]
        self.retry_after = retry_after


class ContextTooLong(LLMError):
    code = "context_length_exceeded"
    http_status = 413


class BadProviderRequest(LLMError):
    code = "invalid_request"
    http_status = 422


class StreamBroken(LLMError):
    """The stream ended without a stop reason, or its bytes could not be read."""

    code = "stream_broken"
    retryable = True


class Refused(LLMError):
    code = "refusal"
    http_status = 422


class ObjectInvalid(LLMError):
    """`generate_object` got no answer that fits its model; `cause` holds the last validation error."""

    code = "object_invalid"


class AgentError(NexusError):
    code = "agent_error"

    def __init__(
        self, message: str = UNEXPECTED_MESSAGE, *, agent_id: str = "", cause: BaseException | None = None
    ) -> None:
        super().__init__(message, cause=cause)
        self.agent_id = agent_id


class AgentNotFound(AgentError):
    """`Agent not found: <id>`, with the known ids."""

    code = "agent_not_found"
    http_status = 404


class PremiumRequired(AgentError):
    code = "premium_required"
    http_status = 403


class ToolError(NexusError):
    """A tool's own failure: raise it in a handler to tell the model (and the person) in plain words."""

    code = "tool_error"
    http_status = 422


class ToolInputInvalid(ToolError):
    code = "tool_input_invalid"


class ToolTimeout(ToolError):
    code = "tool_timeout"


class ToolNotFound(ToolError):
    code = "tool_not_found"


class RAGError(NexusError):
    code = "rag_error"

    def __init__(
        self, message: str = UNEXPECTED_MESSAGE, *, query: str = "", cause: BaseException | None = None
    ) -> None:
        super().__init__(message, cause=cause)
        self.query = query


class BudgetExceeded(NexusError):
    """A budget refused the call; `budget` names it."""

    code = "budget_exceeded"
    http_status = 402

    def __init__(self, message: str, *, budget: str = "") -> None:
        super().__init__(message)
        self.budget = budget


class PriceUnknown(BudgetExceeded):
    """A hard budget applies and nobody knows what the model costs."""

    code = "price_unknown"


class RunCancelled(NexusError):
    code = "cancelled"


class RunFenced(NexusError):
    """This worker no longer owns the run; whatever it still wants to write is refused."""

    code = "fenced"
