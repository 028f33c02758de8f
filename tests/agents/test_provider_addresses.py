"""Where the address of a provider may lead, by who wrote it down; checked where the connection is made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from django.test import Client

from agents import availability
from agents.models import ProviderEndpoint
from agents.providers import endpoints_seed, find_spec, guard_of
from nexus_core.addresses import AddressForbidden, AddressGuard
from nexus_core.errors import LLMError
from nexus_core.messages import user
from nexus_core.providers.base import ModelRequest, ProviderSpec, Wire
from nexus_core.providers.table import BY_NAME, create_provider
from nexus_site import config

WIRES: tuple[Wire, ...] = ("anthropic", "openai-responses", "openai-chat", "azure-chat", "gemini", "ollama")
REQUEST = ModelRequest(model="m", messages=[user("hello")])


class House:
    """A server on this machine that counts who comes, and sends everybody elsewhere."""

    def __init__(self) -> None:
        self.heads: list[str] = []

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        writer.write(
            b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        await writer.drain()
        writer.close()


@pytest.fixture
async def house() -> AsyncIterator[tuple[House, int]]:
    made = House()
    server = await asyncio.start_server(made.answer, "127.0.0.1", 0)
    yield made, server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()


async def fault_of(wire: Wire, address: str, guard: AddressGuard | None) -> LLMError:
    spec = ProviderSpec("acme", "Acme", wire, address, ("ACME_API_KEY",))
    provider = create_provider(spec, key="acme-key-0123456789", guard=guard)
    with pytest.raises(LLMError) as caught:
        async for _ in provider.stream(REQUEST):
            pass
    await provider.close()
    return caught.value


@pytest.mark.parametrize("wire", WIRES)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_no_wire_connects_into_the_house(wire: Wire, host: str, house: tuple[House, int]) -> None:
    server, port = house
    fault = await fault_of(wire, f"http://{host}:{port}", AddressGuard())
    assert (fault.code, fault.sent, fault.retryable) == ("address_forbidden", False, False)
    assert host not in fault.message and server.heads == []


@pytest.mark.parametrize("wire", WIRES)
async def test_an_allowed_network_is_reached_and_no_redirect_followed(
    wire: Wire, house: tuple[House, int]
) -> None:
    """Wherever a redirect leads, the key does not go along."""
    server, port = house
    fault = await fault_of(wire, f"http://127.0.0.1:{port}", AddressGuard(("127.0.0.0/8",)))
    assert fault.code != "address_forbidden"
    assert len(server.heads) == 1 and "/elsewhere" not in server.heads[0].splitlines()[0]
    assert "acme-key-0123456789" in server.heads[0] or wire == "ollama"


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "::ffff:10.1.2.3",
        "::ffff:169.254.169.254",
        "64:ff9b::a01:203",
        "2002:a01:203::",
    ],
)
def test_a_guard_refuses_what_is_not_the_open_internet(address: str) -> None:
    assert not AddressGuard().allows(address)
    with pytest.raises(AddressForbidden):
        AddressGuard().socket((2, 1, 6, "", (address, 80)))


def test_a_guard_lets_the_internet_and_named_networks_through() -> None:
    guard = AddressGuard(("192.168.1.0/24", "fd00:5::/32"))
    for address in ("8.8.8.8", "2606:4700:4700::1111", "192.168.1.9", "::ffff:192.168.1.9", "fd00:5::7"):
        assert guard.allows(address), address
    for address in ("192.168.2.9", "169.254.169.254", "fd00:6::7", "nonsense"):
        assert not guard.allows(address), address


def test_a_wrong_network_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core.exceptions import ImproperlyConfigured

    monkeypatch.setenv("NEXUS_PROVIDER_NETWORKS", "192.168.1.0/24,the office")
    with pytest.raises(ImproperlyConfigured, match="NEXUS_PROVIDER_NETWORKS"):
        config.load()
    monkeypatch.setenv("NEXUS_PROVIDER_NETWORKS", "192.168.1.0/24, 10.0.0.5")
    assert config.load().provider_networks == ["192.168.1.0/24", "10.0.0.5/32"]


@pytest.mark.django_db
def test_who_wrote_the_address_decides(monkeypatch: pytest.MonkeyPatch, settings: object) -> None:
    endpoints_seed()
    vllm = find_spec("vllm")
    assert vllm is not None and guard_of(vllm) is None  # the shipped one, on this machine
    row = ProviderEndpoint.objects.get(name="vllm")
    row.base_url = "http://169.254.169.254/v1"
    row.save()
    entered = find_spec("vllm")
    assert entered is not None and guard_of(entered) == AddressGuard()
    settings.NEXUS_PROVIDER_NETWORKS = ["10.0.0.0/8"]  # type: ignore[attr-defined]
    assert guard_of(entered) == AddressGuard(("10.0.0.0/8",))
    monkeypatch.setenv("VLLM_BASE_URL", "http://10.0.0.9:8000/v1")
    assert guard_of(entered) is None


@pytest.mark.django_db
async def test_an_address_of_the_house_is_not_even_knocked_at(house: tuple[House, int]) -> None:
    _, port = house
    address = f"http://127.0.0.1:{port}"
    reached = await asyncio.to_thread(availability._listens, address, AddressGuard())
    assert not reached
    assert await asyncio.to_thread(availability._listens, address, AddressGuard(("127.0.0.1/32",)))
    assert await asyncio.to_thread(availability._listens, address, None)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "networks", "taken"),
    [
        ("https://api.acme.example/v1", [], True),
        ("http://192.168.1.20:11434", [], False),
        ("http://[fd00::1]:8000/v1", [], False),
        ("http://localhost:9000", [], False),
        ("http://169.254.169.254/latest", [], False),
        ("http://192.168.1.20:11434", ["192.168.1.0/24"], True),
        (BY_NAME["vllm"].base_url, [], True),
        ("ftp://acme.example", [], False),
    ],
)
def test_the_form_says_what_to_do(
    operator: Client, settings: object, address: str, networks: list[str], taken: bool
) -> None:
    settings.NEXUS_PROVIDER_NETWORKS = networks  # type: ignore[attr-defined]
    endpoints_seed()
    fields = {"label": "vLLM", "wire": "openai-chat", "base_url": address, "base_url_var": "VLLM_BASE_URL"}
    response = operator.post("/admin/agents/providerendpoint/vllm/change/", {**fields, "is_enabled": "on"})
    assert (response.status_code == 302) is taken, response.content.decode()
    if not taken and not address.startswith("ftp"):
        assert b"NEXUS_PROVIDER_NETWORKS" in response.content
    refused = operator.post(
        "/admin/agents/providerendpoint/vllm/change/",
        {**fields, "base_url": "https://x.example", "base_url_var": "DATABASE_URL"},
    )
    assert (
        refused.status_code == 200
        and ProviderEndpoint.objects.get(name="vllm").base_url_var != "DATABASE_URL"
    )
