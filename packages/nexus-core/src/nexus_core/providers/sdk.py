"""What the two SDKs of one maker have in common (anthropic and openai are generated alike).

The SDK gives addresses, authentication, headers and typed errors. The first request of a
client goes through its documented `post`, not through `create`, which looks at every value
of a body by the types it was declared with: 2 to 14 ms for forty messages. Those after it
have the address and headers of the first, and go to the HTTP client themselves: building the
same headers anew is half of what a request costs. The bytes of the
answer are read as they come and parsed by us, which costs a tenth to a thirtieth of its
own iterators. Its HTTP client is the aiohttp one: the default pool costs every request a
walk over all connections. Redirects are not followed: they would carry the key along.
"""

from __future__ import annotations

import importlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from weakref import WeakKeyDictionary

from ..addresses import AddressGuard
from .adapter import CONNECT_SECONDS, KEEP_ALIVE_SECONDS, MAX_CONNECTIONS


@dataclass(frozen=True, slots=True)
class _Sent:
    """Of a request that was answered, all but its body."""

    url: Any
    headers: list[tuple[bytes, bytes]]
    timeout: Any

    @classmethod
    def of(cls, request: Any) -> _Sent:
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != b"content-length"]
        return cls(request.url, headers, request.extensions["timeout"])


_requests: WeakKeyDictionary[Any, dict[tuple[str, float], _Sent]] = WeakKeyDictionary()
"""By client, path and silence."""


def http_client(sdk: ModuleType, guard: AddressGuard | None = None) -> Any:
    """A pooled aiohttp-backed client of the given SDK; with a guard, one that connects where that allows."""
    import httpx2

    limits = httpx2.Limits(
        max_connections=MAX_CONNECTIONS,
        max_keepalive_connections=MAX_CONNECTIONS,
        keepalive_expiry=KEEP_ALIVE_SECONDS,
    )
    if guard is None:
        return sdk.DefaultAioHttpClient(follow_redirects=False, limits=limits)
    transport = _guarded_transport(sdk, guard, limits)
    # No proxy of the environment: it would connect where the check cannot look.
    return sdk.DefaultAioHttpClient(
        follow_redirects=False, limits=limits, transport=transport, trust_env=False
    )


def _guarded_transport(sdk: ModuleType, guard: AddressGuard, limits: Any) -> Any:
    """The SDK's own transport over a session of ours. Should a new version of the SDK keep it elsewhere, this raises."""
    import aiohttp

    kind = importlib.import_module(f"{sdk.__name__}._vendor.httpx_aiohttp.transport").AiohttpTransport

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=MAX_CONNECTIONS, keepalive_timeout=KEEP_ALIVE_SECONDS, socket_factory=guard.socket
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return kind(limits=limits, trust_env=False, client=session)


def timeouts(seconds: float) -> Any:
    """`seconds` between two bytes; connecting has its own, shorter limit."""
    import httpx2

    return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


@asynccontextmanager
async def posted(
    client: Any, path: str, body: Mapping[str, Any], silence: float, **options: Any
) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """The bytes of a successful answer to `body`; leaving the block closes the connection.

    `silence` is how many seconds may pass between two bytes; `options` are the SDK's own. Raises its errors.
    """
    import httpx2

    known = _requests.setdefault(client, {})
    before = known.get((path, silence))
    if before is None:
        response = await client.post(
            path,
            body=body,
            options={"timeout": timeouts(silence), **options},
            cast_to=httpx2.Response,
            stream=True,
        )
        known[path, silence] = _Sent.of(response.request)
    else:
        response = await _again(client, before, body)
    try:
        yield response.aiter_bytes()
    finally:
        await response.aclose()


async def _again(client: Any, before: _Sent, body: Mapping[str, Any]) -> Any:
    """The answer to a request like that one with this body. Raises what the HTTP client raises."""
    import httpx2

    extensions = {"timeout": before.timeout}
    request = httpx2.Request("POST", before.url, headers=before.headers, json=body, extensions=extensions)
    response = await client._client.send(request, stream=True)
    try:
        response.raise_for_status()
    except httpx2.HTTPStatusError:
        await response.aread()
        raise
    return response
