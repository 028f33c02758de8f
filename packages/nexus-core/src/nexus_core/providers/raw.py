"""Posting JSON and reading the answer's bytes over aiohttp, for wires whose SDK is in the way.

google-genai bounds a request by its total time (a long answer would be cut) and
sends again by itself where a connection fails; ollama's client has the pool that
slows with every connection. Both parse each event into models. Their wires are
plain JSON over POST, so we speak them ourselves; contract tests hold our reading to theirs.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import orjson

from ..addresses import AddressGuard
from .adapter import CONNECT_SECONDS, KEEP_ALIVE_SECONDS, MAX_CONNECTIONS
from .faults import Where, refused

_ERROR_BODY = 64 * 1024
_PIECE = 64 * 1024


class RawClient:
    """One pooled session, opened on the loop that first posts with it."""

    def __init__(self, guard: AddressGuard | None = None) -> None:
        import aiohttp

        self._guard = guard

        self._aiohttp: Any = aiohttp
        self._tls = ssl.create_default_context()
        self._session: Any = None

    @asynccontextmanager
    async def post(
        self, url: str, body: Mapping[str, Any], headers: Mapping[str, str], silence: float, where: Where
    ) -> AsyncGenerator[AsyncIterator[bytes], None]:
        """The bytes of a successful answer; leaving the block early closes the connection.

        `silence` is how many seconds may pass between two bytes. Raises ours for a status that is no
        success, aiohttp's errors for the rest.
        """
        limits = self._aiohttp.ClientTimeout(
            total=None, sock_connect=min(silence, CONNECT_SECONDS), sock_read=silence
        )
        async with self._opened().post(
            url,
            data=orjson.dumps(body),
            headers={"Content-Type": "application/json", "Accept-Encoding": "identity", **headers},
            timeout=limits,
            allow_redirects=False,
        ) as response:
            if response.status != 200:
                said = await response.content.read(_ERROR_BODY)
                raise refused(where, response.status, response.headers, said)
            yield response.content.iter_chunked(_PIECE)

    def _opened(self) -> Any:
        if self._session is None:
            connector = self._aiohttp.TCPConnector(
                limit=MAX_CONNECTIONS,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ssl=self._tls,
                socket_factory=self._guard.socket if self._guard is not None else None,
            )
            self._session = self._aiohttp.ClientSession(
                connector=connector,
                cookie_jar=self._aiohttp.DummyCookieJar(),
                # A proxy would connect where the check cannot look.
                trust_env=self._guard is None,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
