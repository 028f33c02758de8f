"""The life of one streamed request, the same for every wire.

A wire is a subclass of `Adapter`: how to open its stream of bytes, and a `Parser`
that turns its events into ours. Everything else is here: the key, faults before
and within the stream, a stream that ends too early, closing the connection.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from ..addresses import AddressGuard, forbidden
from ..errors import KeyMissing, LLMError
from . import clients, faults
from .base import ModelEvent, ModelRequest, ProviderSpec, Stop
from .faults import Where
from .sse import LineSplitter, SSESplitter

CONNECT_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 30.0
MAX_CONNECTIONS = 2000
ADDRESS_MESSAGE = (
    "The address of {label} leads into a private network, which this server does not connect to. "
    "Whoever runs it can allow that."
)
_REST_SECONDS = 0.1
"""How long the end of the body is waited for after the last event, to keep the connection."""


class Parser(ABC):
    """Turns the events of one stream into ours."""

    @abstractmethod
    def feed(self, name: bytes, data: bytes, out: list[ModelEvent]) -> bool:
        """Appends what the event means to `out`; True when it was the last one of the stream.

        Raises an `LLMError` that the provider sent, anything else if the event cannot be read.
        """

    @abstractmethod
    def stop(self) -> Stop | None:
        """The whole answer, or None while no stop reason has come."""


class Adapter(ABC):
    """One configured provider; see `Provider` in base.py."""

    splitter: ClassVar[type[SSESplitter] | type[LineSplitter]] = SSESplitter

    def __init__(
        self, spec: ProviderSpec, *, key: str | None, base_url: str, guard: AddressGuard | None = None
    ) -> None:
        self.name = spec.name
        self.spec = spec
        self.base_url = base_url
        self._key = key or ""
        self._guard = guard

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, {self.base_url!r})"

    @abstractmethod
    def _open(self, request: ModelRequest, where: Where) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Sends the request; the bytes of a successful answer. Raises what its client raises."""

    @abstractmethod
    def _parser(self, request: ModelRequest, where: Where) -> Parser: ...

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """One request; yields events and ends with `Stop`, or raises `LLMError`."""
        where = Where(self.name, self.spec.label, request.model, self._key)
        self._check_set_up(request)
        parser = self._parser(request, where)
        splitter = self.splitter()
        out: list[ModelEvent] = []
        fault: Exception | None = None
        answered = over = False
        try:
            async with self._open(request, where) as pieces:
                answered = True
                async for piece in pieces:
                    try:
                        for name, data in splitter.feed(piece):
                            if parser.feed(name, data, out):
                                over = True
                                break
                    except Exception as exc:  # whatever a broken event makes of a parser
                        fault = exc
                    for event in out:
                        yield event
                    out.clear()
                    if over or fault is not None:
                        break
                else:
                    for name, data in splitter.finish():
                        parser.feed(name, data, out)
                if over:
                    await _read_rest(pieces)
        except Exception as exc:
            fault = fault or exc
        for event in out:
            yield event
        if fault is not None and (isinstance(fault, LLMError) or parser.stop() is None):
            raise self._error(fault, where, answered)
        stop = parser.stop()
        if stop is None:
            raise faults.broken(where, "the stream ended without a stop reason")
        yield stop

    async def close(self) -> None:
        """Gives up the pooled connections, unless another provider with the same key and address uses them."""
        await clients.release(self)

    def _check_set_up(self, request: ModelRequest) -> None:
        """Raises `KeyMissing` where a key or an address is needed and was not given."""
        if self.spec.key_vars and not self._key:
            raise KeyMissing(key_missing_message(self.spec), provider=self.name, model=request.model)
        if not self.base_url:
            raise KeyMissing(address_missing_message(self.spec), provider=self.name, model=request.model)

    def _error(self, fault: Exception, where: Where, answered: bool) -> LLMError:
        """Ours for what was raised; also an SDK's error with its `response`."""
        if isinstance(fault, LLMError):
            return fault
        response: Any = getattr(fault, "response", None)
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            return faults.refused(where, status, response.headers, _body_of(response))
        if isinstance(fault, ImportError):
            return LLMError(
                f"{where.label} needs a package that is not installed: {fault.name}.",
                provider=where.provider,
                model=where.model,
            )
        if answered:
            return faults.broken(where, fault)
        if forbidden(fault):
            refusal = LLMError(
                ADDRESS_MESSAGE.format(label=where.label), provider=where.provider, model=where.model
            )
            refusal.code, refusal.sent = "address_forbidden", False
            return refusal
        return faults.unreachable(where, fault, self.unreachable_message())

    def unreachable_message(self) -> str:
        """What to say when nothing answers; empty: the usual sentence."""
        return ""


def key_missing_message(spec: ProviderSpec) -> str:
    names = " or ".join(spec.key_vars)
    comma = "," if len(spec.key_vars) > 1 else ""
    return f"{spec.label} has no key. Set {names}{comma} or add a key in the admin under Provider keys."


def address_missing_message(spec: ProviderSpec) -> str:
    return f"{spec.label} has no address. Set {spec.base_url_var} or its base URL in the admin."


async def _read_rest(pieces: AsyncIterator[bytes]) -> None:
    """Reads to the end of the body, so that the connection can be used again."""
    try:
        async with asyncio.timeout(_REST_SECONDS):
            async for _ in pieces:
                pass
    except Exception:  # noqa: S110  the answer is whole; the connection is simply not kept
        pass


def _body_of(response: Any) -> bytes:
    try:
        return bytes(response.content)
    except Exception:  # the body was cut or never read; the status says enough
        return b""
