"""One HTTP call to the server: headers, errors by code, and when it may be sent again.

The rule: what was certainly not seen is sent again; what may have been seen is sent again only if that
changes nothing (a GET, or a POST that carries its own id). Waits are jittered, and end with `patience`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, TypeVar
from uuid import uuid4

import orjson

from .clock import Clock, full_jitter
from .decode import WireObject
from .errors import ProtocolMismatch, Refused, TooManyRequests, Unreachable, refusal
from .transport import Answer, Lost, NotSent, Transport
from .types import Page

JSON = Any
W = TypeVar("W", bound=WireObject)
AGAIN = (502, 503, 504)
"""What a proxy says while a server restarts."""
PATIENCE_SECONDS = 60.0


def new_id() -> str:
    """A fresh client id: 128 random bits."""
    return uuid4().hex


def prune(**fields: JSON) -> dict[str, JSON]:
    """The fields that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


class Calls:
    """Args:
    patience: seconds for which an answer is sought over lost connections and restarts.
    """

    def __init__(
        self, transport: Transport, clock: Clock, token: str, *, patience: float = PATIENCE_SECONDS
    ) -> None:
        self.transport = transport
        self.clock = clock
        self.patience = patience
        self.headers = {"Authorization": f"Bearer {token}", "User-Agent": "nexus-core-client"}

    async def send(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, JSON] | None = None,
        params: Mapping[str, str | int | None] | None = None,
        files: Mapping[str, Any] | None = None,
        repeatable: bool | None = None,
        accept: str = "application/json",
        idempotency_key: str | None = None,
    ) -> Answer:
        """A successful answer. Raises a `Refused`, or `Unreachable` when patience ends.

        `repeatable`: that the same request twice is the same as once; by default of GET, PUT and DELETE.
        """
        if repeatable is None:
            repeatable = method in ("GET", "PUT", "DELETE")
        headers = {**self.headers, "Accept": accept}
        if idempotency_key is not None:
            headers["Idempotency-Key"] = idempotency_key
        content = None
        if body is not None:
            content, headers["Content-Type"] = orjson.dumps(body), "application/json"
        asked = {name: str(value) for name, value in (params or {}).items() if value is not None}
        ends = self.clock.monotonic() + self.patience
        failures = 0
        while True:
            wait = 0.0
            try:
                got = await self.transport.request(
                    method, path, headers=headers, params=asked, content=content, files=files
                )
                if got.status < 400:
                    return got
                said: Exception = error_of(got)
                if not (isinstance(said, TooManyRequests) or (repeatable and got.status in AGAIN)):
                    raise said
                wait = getattr(said, "retry_after", None) or 0.0
            except NotSent as fault:
                said = Unreachable("The server cannot be reached.", cause=fault)
            except Lost as fault:
                said = Unreachable(
                    "The connection was lost before the answer came.", code="connection_lost", cause=fault
                )
                if not repeatable:
                    raise said from fault
            failures += 1
            wait += full_jitter(self.clock, failures)
            if self.clock.monotonic() + wait > ends:
                raise said
            await self.clock.sleep(wait)

    async def json(self, method: str, path: str, **how: Any) -> JSON:
        got = await self.send(method, path, **how)
        return read_json(got) if got.body else None

    async def one(self, kind: type[W], method: str, path: str, **how: Any) -> W:
        return kind.from_wire(await self.json(method, path, **how))

    async def page(
        self, kind: Callable[[JSON], W], path: str, params: Mapping[str, str | int | None]
    ) -> Page[W]:
        wire = await self.json("GET", path, params=params)
        if not isinstance(wire, Mapping) or not isinstance(wire.get("items"), list):
            raise ProtocolMismatch(f"{path} did not answer with a list.")
        return Page(tuple(map(kind, wire["items"])), wire.get("nextCursor"))

    async def every(
        self, kind: Callable[[JSON], W], path: str, **params: str | int | None
    ) -> AsyncIterator[W]:
        """All items of a list, page by page as they are wanted."""
        cursor: str | None = None
        while True:
            page = await self.page(kind, path, {**params, "cursor": cursor})
            for item in page.items:
                yield item
            if page.next_cursor is None or page.next_cursor == cursor:
                return
            cursor = page.next_cursor


def read_json(got: Answer) -> JSON:
    try:
        return orjson.loads(got.body)
    except orjson.JSONDecodeError as fault:
        raise ProtocolMismatch(
            "The answer is not JSON. Is this the address of a Nexus server?", cause=fault
        ) from fault


def error_of(got: Answer) -> Refused:
    """The typed error of an answer with a status of 400 and more."""
    try:
        error = orjson.loads(got.body)["error"]
        code, message = str(error["code"]), str(error["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):  # a proxy's page
        error, code, message = {}, f"http_{got.status}", f"The server answered with HTTP {got.status}."
    told = got.headers.get("retry-after", "")
    return refusal(
        code,
        message,
        status=got.status,
        request_id=str(error.get("requestId", "")),
        details=error.get("details"),
        retry_after=float(told) if told.isdigit() else None,
    )
