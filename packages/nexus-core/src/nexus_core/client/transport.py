"""The way to the server: plain HTTP, streamed HTTP and a socket, behind one small port.

`WebTransport` is the real one: httpx2, and `websockets` where it is installed (the extra
`nexus-core[client]`). Tests bring their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2

CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 60.0
MOST_FRAME_BYTES = 64 * 1024 * 1024
"""A `subscribed` frame carries a whole conversation."""

Headers = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, read whole. Header names are lower case."""

    status: int
    headers: Headers = field(default_factory=dict)
    body: bytes = b""


class NotSent(Exception):
    """No connection came about: the server has certainly not seen the request."""


class Lost(Exception):
    """The connection broke: nobody knows whether the server saw the request."""


class SocketRefused(Exception):
    """The handshake was answered, but not by a socket. `status` is its HTTP status, 0 if there was none."""

    def __init__(self, status: int) -> None:
        super().__init__(f"the socket was refused with HTTP {status}")
        self.status = status


class SocketMissing(Exception):
    """There is no socket to be had in this process: `websockets` is not installed."""


class SocketClosed(Exception):
    """`code` is the close code, 1006 where the link just ended."""

    def __init__(self, code: int) -> None:
        super().__init__(f"the socket closed with {code}")
        self.code = code


class Socket(Protocol):
    """Raises `SocketClosed` from `send` and `receive` once it is gone."""

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str: ...

    async def close(self) -> None: ...


class Stream(Protocol):
    """A streamed answer: `status`, `headers`, and the bytes as they come. Raises `Lost` where it breaks."""

    status: int
    headers: Headers

    def pieces(self) -> AsyncIterator[bytes]: ...


class Transport(Protocol):
    """All paths begin with `/`. Raises `NotSent` and `Lost`."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> Answer: ...

    def stream(self, path: str, *, headers: Headers) -> AbstractAsyncContextManager[Stream]: ...

    async def connect(self, path: str, *, headers: Headers) -> Socket:
        """Raises `SocketRefused` and `SocketMissing` too."""
        ...

    async def close(self) -> None: ...


class WebTransport:
    """Args:
    base_url: where the server is: `https://nexus.example.org`.
    verify: as for httpx2: False, or an `ssl.SSLContext`, where the server's certificate is your own.
    """

    def __init__(self, base_url: str, *, verify: Any = True) -> None:
        self._base = base_url.rstrip("/")
        self._verify = verify
        self._http = httpx2.AsyncClient(
            base_url=self._base,
            verify=verify,
            timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20),
            follow_redirects=False,
        )

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Headers,
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> Answer:
        try:
            got = await self._http.request(
                method, path, headers=dict(headers), params=params, content=content, files=files
            )
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as fault:
            raise NotSent(str(fault)) from fault
        except httpx2.TransportError as fault:
            raise Lost(str(fault) or type(fault).__name__) from fault
        return Answer(got.status_code, {k.lower(): v for k, v in got.headers.items()}, got.content)

    @asynccontextmanager
    async def stream(self, path: str, *, headers: Headers) -> AsyncIterator[Stream]:
        silence = httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS, read=None)
        try:
            async with self._http.stream("GET", path, headers=dict(headers), timeout=silence) as got:
                yield _HttpStream(got)
        except (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout) as fault:
            raise NotSent(str(fault)) from fault
        except httpx2.TransportError as fault:
            raise Lost(str(fault) or type(fault).__name__) from fault

    async def connect(self, path: str, *, headers: Headers) -> Socket:
        try:
            from websockets.asyncio.client import connect
            from websockets.exceptions import InvalidHandshake, InvalidStatus
        except ModuleNotFoundError as fault:
            raise SocketMissing from fault
        address = "ws" + self._base.removeprefix("http") + path
        extra: dict[str, Any] = {}
        if address.startswith("wss:") and self._verify is not True:
            extra["ssl"] = _tls(self._verify)
        try:
            ws = await connect(
                address,
                additional_headers=dict(headers),
                subprotocols=["nexus.v1"],  # type: ignore[list-item]  # a NewType of str
                max_size=MOST_FRAME_BYTES,
                ping_interval=None,  # the link pings by its own clock
                open_timeout=None,
                close_timeout=2,
                compression=None,
                **extra,
            )
        except InvalidStatus as fault:
            raise SocketRefused(fault.response.status_code) from fault
        except InvalidHandshake as fault:  # answered, but by something that knows no sockets
            raise SocketRefused(0) from fault
        except (OSError, EOFError, TimeoutError) as fault:
            raise NotSent(str(fault)) from fault
        return _WebSocket(ws)

    async def close(self) -> None:
        await self._http.aclose()


class _HttpStream:
    def __init__(self, got: httpx2.Response) -> None:
        self._got = got
        self.status = got.status_code
        self.headers: Headers = {k.lower(): v for k, v in got.headers.items()}

    async def pieces(self) -> AsyncIterator[bytes]:
        try:
            async for piece in self._got.aiter_bytes():
                yield piece
        except httpx2.HTTPError as fault:
            raise Lost(str(fault) or type(fault).__name__) from fault


class _WebSocket:
    def __init__(self, ws: Any) -> None:
        self._ws = ws

    async def send(self, text: str) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await self._ws.send(text)
        except ConnectionClosed as fault:
            raise SocketClosed(_code_of(fault)) from fault

    async def receive(self) -> str:
        from websockets.exceptions import ConnectionClosed

        try:
            got = await self._ws.recv()
        except ConnectionClosed as fault:
            raise SocketClosed(_code_of(fault)) from fault
        return got if isinstance(got, str) else got.decode("utf-8", "replace")

    async def close(self) -> None:
        await self._ws.close()


def _code_of(fault: Any) -> int:
    return int(fault.rcvd.code) if fault.rcvd is not None else 1006


def _tls(verify: Any) -> Any:
    import ssl

    if isinstance(verify, ssl.SSLContext):
        return verify
    context = ssl.create_default_context()
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
