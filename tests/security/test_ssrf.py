"""No address leads into the house [S3]: every fetcher, every way of writing one, and the redirects to them.

A canary listens on this machine, and nobody may knock. Allowed on purpose, and not tried here: addresses that the
operator sets by the environment, the shipped ones of servers on the own machine (Ollama, vLLM …), and
`NEXUS_PROVIDER_NETWORKS`; tests/agents/test_provider_addresses.py.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import quote, unquote

import pytest

from agents import availability, fetching, tools
from agents.fetching import FetchFailed, fetch
from conversations.database import in_database
from conversations.services.input import BadInput
from conversations.services.run_start import run_start
from nexus_core.addresses import AddressGuard, is_public
from nexus_core.context import ExecutionContext
from nexus_core.errors import NexusError, ToolError
from nexus_core.messages import user
from nexus_core.providers.base import ModelRequest, ProviderSpec, Wire
from nexus_core.providers.table import create_provider

from .addresses import NAMES, URLS

WIRES: tuple[Wire, ...] = ("anthropic", "openai-responses", "openai-chat", "azure-chat", "gemini", "ollama")
OUTSIDE = "127.0.0.99"
"""Plays a server of the open internet: the only address besides real public ones that counts as public."""
look_up = socket.getaddrinfo

Said = Callable[[str], None]


class Canary:
    """Listens wherever this machine can be reached; nobody should come."""

    def __init__(self) -> None:
        self.came: list[str] = []
        self.port = 0
        self.outside = 0
        self._servers: list[asyncio.Server] = []

    async def open(self) -> None:
        first = await asyncio.start_server(self._answer, "0.0.0.0", 0)
        self.port = first.sockets[0].getsockname()[1]
        self._servers.append(first)
        try:
            six = await asyncio.start_server(self._answer, sock=_six(self.port))
            self._servers.append(six)
        except OSError:
            pass  # a machine without IPv6
        redirecting = await asyncio.start_server(self._redirect, OUTSIDE, 0)
        self.outside = redirecting.sockets[0].getsockname()[1]
        self._servers.append(redirecting)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came.append(str(writer.get_extra_info("sockname")))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nsecret")
        writer.close()

    @staticmethod
    async def _redirect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readline()).decode()
        to = unquote(line.split(" ")[1].partition("?")[2]).replace("\r", "").replace("\n", "")
        head = f"HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())
        writer.close()

    async def close(self) -> None:
        for server in self._servers:
            server.close()
            await server.wait_closed()

    def urls(self) -> list[str]:
        return [url.replace("{port}", str(self.port)) for url in URLS]

    def by_redirect(self) -> list[str]:
        return [f"http://{OUTSIDE}:{self.outside}/?{quote(url, safe='')}" for url in self.urls()]


def _six(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.bind(("::1", port))
    return sock


@pytest.fixture
async def canary(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Canary]:
    made = Canary()
    await made.open()
    asked: dict[str, int] = {}

    def answer(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        """The hostile name server; an address in any spelling is what the system takes it for."""
        name = host.decode() if isinstance(host, bytes) else str(host)
        name = name.lower().rstrip(".")
        found = ["127.0.0.1", "::1"] if name == "localhost" else None
        if name in NAMES:
            nth = asked[name] = asked.get(name, -1) + 1
            found = NAMES[name][min(nth, len(NAMES[name]) - 1)]
        if found is None:
            return look_up(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        return [
            (
                (socket.AF_INET6, socket.SOCK_STREAM, 6, "", (one, int(port or 0), 0, 0))
                if ":" in one
                else (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, int(port or 0)))
            )
            for one in found
        ]

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    yield made
    await made.close()


async def fault_of(url: str) -> str:
    try:
        await fetch(url, seconds=10)
    except FetchFailed as fault:
        return str(fault)
    return ""


async def test_the_canary_would_be_found(canary: Canary, settings: Any, told: Said) -> None:
    """Without the guard these addresses lead to it: otherwise the other tests would say nothing."""
    settings.NEXUS_FETCH_PRIVATE = True
    found = 0
    for url in canary.urls():
        before = len(canary.came)
        if "example.com" in url or "10." in url or "172." in url or "192." in url:
            continue  # they may lead elsewhere, which takes time
        try:
            async with asyncio.timeout(3):
                await fetch(url)
        except (FetchFailed, TimeoutError):
            pass
        found += len(canary.came) > before
    told(f"addresses into the house: {len(URLS)}, {found} of them lead to the canary where nothing guards it")
    assert len(URLS) >= 100 and found >= 40


async def test_no_feed_leads_into_the_house(
    canary: Canary, monkeypatch: pytest.MonkeyPatch, told: Said
) -> None:
    monkeypatch.setattr(fetching, "is_public", lambda address: address == OUTSIDE or is_public(address))
    assert "not on the public internet" in await fault_of(f"http://127.0.0.1:{canary.port}/")
    for urls in (canary.urls(), canary.by_redirect()):
        faults = await asyncio.gather(*(fault_of(url) for url in urls))
        assert [url for url, fault in zip(urls, faults, strict=True) if not fault] == []
    monkeypatch.setattr(tools, "_active_feeds", lambda category: [(url, url) for url in canary.urls()])
    with pytest.raises(ToolError):
        await tools.fetch_news.call({"category": "tech"}, ExecutionContext())
    assert canary.came == []
    told(f"feeds: {2 * len(URLS)} addresses, half of them by a redirect, and the news tool: nobody came")


@pytest.mark.parametrize("wire", WIRES)
async def test_no_provider_leads_into_the_house(canary: Canary, told: Said, wire: Wire) -> None:
    """Each address over one of the wires; with `NEXUS_TEST_LONG=1` each over all of them."""
    guard, request = AddressGuard(), ModelRequest(model="m", messages=[user("hello")])
    urls = (
        canary.urls() if os.environ.get("NEXUS_TEST_LONG") else canary.urls()[WIRES.index(wire) :: len(WIRES)]
    )
    for url in urls:
        spec = ProviderSpec("acme", "Acme", wire, url, ("ACME_API_KEY",))
        provider = None
        try:
            provider = create_provider(spec, key="acme-key-0123456789", guard=guard)
            async for _ in provider.stream(request):
                pass
        except (NexusError, ValueError):
            pass
        else:
            pytest.fail(f"{url} was answered")
        finally:
            if provider is not None:
                await provider.close()
    assert canary.came == []
    told(f"provider addresses over {wire}: {len(urls)}, nobody came")


async def test_no_probe_knocks_in_the_house(canary: Canary, told: Said) -> None:
    for url in canary.urls():
        assert not await asyncio.to_thread(availability._listens, url, AddressGuard()), url
    assert canary.came == []
    told(f"probes: {len(URLS)}, nobody came")


@pytest.mark.django_db(transaction=True)
async def test_no_message_has_an_image_loaded_by_its_address(canary: Canary, alice: Any) -> None:
    """An image is a file that was uploaded here; an address is refused, not read."""
    for part in (
        {"type": "image", "url": f"http://127.0.0.1:{canary.port}/"},
        {"type": "image", "fileId": f"http://127.0.0.1:{canary.port}/"},
        {"type": "image_url", "image_url": {"url": f"http://127.0.0.1:{canary.port}/"}},
        {"type": "file", "url": "file:///etc/passwd"},
    ):
        with pytest.raises(NexusError) as refusal:
            await in_database(run_start, actor=alice, agent_id="demo-agent", input_=[part])
        assert isinstance(refusal.value, BadInput) or refusal.value.code == "not_found"
    assert canary.came == []
