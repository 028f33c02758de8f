"""Fetching an address that somebody wrote down, without being led into the house.

Only http and https; the address is checked where the socket is made, so that no name
can resolve to one thing for the check and another for the connection; every redirect is
checked the same way; size and time are limited; no cookies, no proxy, no credentials.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
from django.conf import settings

from nexus_core.addresses import AddressForbidden, is_public

LONGEST_SECONDS = 4.0
MOST_BYTES = 2 * 1024 * 1024
MOST_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
USER_AGENT = "Nexus/0.1 (feed reader)"


class FetchFailed(Exception):
    """Nothing was fetched; the text says why, fit for a person."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The body with where it came from in the end."""

    url: str
    content_type: str
    body: bytes


async def fetch(url: str, *, seconds: float = LONGEST_SECONDS, most_bytes: int = MOST_BYTES) -> Fetched:
    """GETs the address. Raises `FetchFailed`."""
    async with _session(seconds, "read") as session:
        return await _follow(session, url, most_bytes)


async def post(
    url: str, body: bytes, headers: Mapping[str, str] | None = None, *, seconds: float = LONGEST_SECONDS
) -> int:
    """POSTs to an address under the same rules, following nothing; the status it answered with. Raises `FetchFailed`
    where there was no answer, and for an address that is not asked."""
    async with _session(seconds, "asked") as session:
        _check(url)
        told = {**(headers or {}), "User-Agent": USER_AGENT}
        async with session.post(url, data=body, headers=told, allow_redirects=False) as answer:
            return answer.status


@asynccontextmanager
async def _session(seconds: float, verb: str) -> AsyncIterator[aiohttp.ClientSession]:
    """The one way out: guarded where the socket is made, without cookies and proxies, for so long. Whatever fails in
    it is a `FetchFailed`."""
    connector = aiohttp.TCPConnector(socket_factory=_guarded_socket, use_dns_cache=False, force_close=True)
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession(
                connector=connector,
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": USER_AGENT, "Accept": "*/*"},
            ) as session,
        ):
            yield session
    except TimeoutError:
        raise FetchFailed(f"no answer within {seconds:g} seconds") from None
    except aiohttp.ClientConnectorError as fault:
        if isinstance(fault.os_error, AddressForbidden):
            raise FetchFailed("its address is not on the public internet") from None
        raise FetchFailed("it cannot be reached (no network, or the server is down)") from None
    except (aiohttp.ClientError, OSError, UnicodeError, ValueError) as fault:
        raise FetchFailed(f"it cannot be {verb} ({type(fault).__name__})") from None
    finally:
        await connector.close()


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchFailed("only http and https addresses are read")
    if parts.username or parts.password:
        raise FetchFailed("an address with a user name in it is not read")


async def _follow(session: aiohttp.ClientSession, url: str, most_bytes: int) -> Fetched:
    for _ in range(MOST_REDIRECTS + 1):
        _check(url)
        async with session.get(url, allow_redirects=False) as answer:
            if answer.status in REDIRECTS and "Location" in answer.headers:
                url = urljoin(url, answer.headers["Location"])
                continue
            if answer.status != 200:
                raise FetchFailed(f"it answered with status {answer.status}")
            body = bytearray()
            async for piece in answer.content.iter_chunked(64 * 1024):
                body += piece
                if len(body) > most_bytes:
                    raise FetchFailed(f"it is larger than {most_bytes // 1024} KiB")
            return Fetched(url, answer.headers.get("Content-Type", ""), bytes(body))
    raise FetchFailed(f"more than {MOST_REDIRECTS} redirects")


def _guarded_socket(address: tuple[Any, ...]) -> socket.socket:
    """Makes the socket for one resolved address, or refuses it: the last moment before the connection."""
    family, kind, protocol, _, where = address
    if not is_public(str(where[0])) and not getattr(settings, "NEXUS_FETCH_PRIVATE", False):
        raise AddressForbidden(f"{where[0]} is not a public address")
    return socket.socket(family=family, type=kind, proto=protocol)
