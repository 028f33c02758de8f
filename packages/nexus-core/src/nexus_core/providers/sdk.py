"""What the two SDKs of one maker have in common (anthropic and openai are generated alike).

The SDK gives addresses, authentication, headers and typed errors; the bytes of
the answer are read as they come and parsed by us, which costs a tenth to a
thirtieth of its own iterators. Its HTTP client is the aiohttp one: the default pool
costs every request a walk over all connections. Redirects are not followed: they
would carry the key along.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import ModuleType
from typing import Any

from .adapter import CONNECT_SECONDS, KEEP_ALIVE_SECONDS, MAX_CONNECTIONS


def http_client(sdk: ModuleType) -> Any:
    """A pooled aiohttp-backed client of the given SDK."""
    import httpx2

    return sdk.DefaultAioHttpClient(
        follow_redirects=False,
        limits=httpx2.Limits(
            max_connections=MAX_CONNECTIONS,
            max_keepalive_connections=MAX_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_SECONDS,
        ),
    )


def timeouts(seconds: float) -> Any:
    """`seconds` between two bytes; connecting has its own, shorter limit."""
    import httpx2

    return httpx2.Timeout(seconds, connect=min(seconds, CONNECT_SECONDS))


@asynccontextmanager
async def body_of(call: AbstractAsyncContextManager[Any]) -> AsyncGenerator[AsyncIterator[bytes], None]:
    """The bytes of a `with_streaming_response` call; leaving the block closes the connection."""
    async with call as response:
        yield response.http_response.aiter_bytes()
