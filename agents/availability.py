"""Whether an agent can answer now, and if not, why and what to do about it.

Cheap enough for every page: keys are looked up without being read, and servers that need
no key (Ollama and the like) are asked by a short connection in the background. A page
waits at most `LONGEST_WAIT` for answers that nobody has yet; after that it says so.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from agents.models import Agent
from agents.providers import KnownKey, address_of, guard_of, key_in_environment
from nexus_core.addresses import AddressGuard
from nexus_core.providers.adapter import address_missing_message, key_missing_message
from nexus_core.providers.base import ProviderSpec
from nexus_core.providers.local import NOT_INSTALLED
from nexus_core.providers.local_server import installed
from nexus_core.providers.table import create_provider

LONGEST_WAIT = 0.25
"""Seconds a page waits for probes, all together."""
CONNECT_SECONDS = 0.3
FRESH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Availability:
    """`reason` is empty when it is available; `needs_key` when a key is all that is missing."""

    is_available: bool
    reason: str = ""
    needs_key: bool = False


AVAILABLE = Availability(True)
Address = tuple[str, AddressGuard | None]
"""A server's address, and which addresses its name may lead to."""


def availabilities(
    agents: Iterable[Agent], specs: Mapping[str, ProviderSpec], keys: Mapping[str, KnownKey]
) -> dict[object, Availability]:
    """By agent id. An agent whose own provider is out but whose fallback is there is available."""
    agents = list(agents)
    used = {name for agent in agents for name in _providers_of(agent)}
    servers: dict[str, Any] = {
        name: create_provider(specs[name], base_url=address_of(specs[name]))
        for name in used
        if _is_server(specs.get(name))
    }
    reachable = _probe_all({(server.base_url, guard_of(specs[name])) for name, server in servers.items()})
    by_provider = {
        name: _provider(name, specs.get(name), keys, servers.get(name), reachable) for name in used
    }
    return {agent.pk: _agent(agent, by_provider) for agent in agents}


def forget_probes() -> None:
    """The next question asks the servers anew."""
    with _lock:
        _known.clear()


def _providers_of(agent: Agent) -> list[str]:
    return [agent.provider, *(str(one.get("provider", "")) for one in agent.fallback)]


def _agent(agent: Agent, providers: Mapping[str, Availability]) -> Availability:
    if not agent.is_active:
        return Availability(False, "It is switched off.")
    chain = [providers[name] for name in _providers_of(agent)]
    return next((one for one in chain if one.is_available), chain[0])


def _provider(
    name: str,
    spec: ProviderSpec | None,
    keys: Mapping[str, KnownKey],
    server: Any,
    reachable: Mapping[Address, bool | None],
) -> Availability:
    if spec is None:
        return Availability(False, f"The provider {name} is unknown here or switched off.")
    if spec.wire == "scripted":
        return AVAILABLE
    if spec.wire == "local":
        return AVAILABLE if installed() else Availability(False, NOT_INSTALLED)
    if spec.key_vars and not (name in keys or key_in_environment(spec)):
        return Availability(False, key_missing_message(spec), needs_key=True)
    if server is None:
        return AVAILABLE if address_of(spec) else Availability(False, address_missing_message(spec))
    answers = reachable[server.base_url, guard_of(spec)]
    if answers is None:
        return Availability(False, f"{spec.label} has not answered yet at {server.base_url}.")
    return AVAILABLE if answers else Availability(False, server.unreachable_message())


def _is_server(spec: ProviderSpec | None) -> bool:
    """Somebody's own server, which is there or not, rather than a service with a key."""
    return spec is not None and spec.free and spec.wire not in ("local", "scripted")


@dataclass(slots=True)
class _Probe:
    """What is known of one address; written by the probe's own thread when it is done."""

    reachable: bool | None = None
    at: float = 0.0
    going: Future[None] | None = None


_known: dict[Address, _Probe] = {}
_lock = threading.Lock()
_pool = ThreadPoolExecutor(4, thread_name_prefix="probe")


def _probe_all(addresses: set[Address]) -> dict[Address, bool | None]:
    """Whether something listens there: what is known, renewed behind the page's back once it is old."""
    now = time.monotonic()
    with _lock:
        probes = {address: _known.setdefault(address, _Probe()) for address in addresses}
        for address, probe in probes.items():
            old = probe.reachable is None or now - probe.at > FRESH_SECONDS
            if old and (probe.going is None or probe.going.done()):
                probe.going = _pool.submit(_ask, probe, address)
        first = [
            probe.going for probe in probes.values() if probe.reachable is None and probe.going is not None
        ]
    if first:
        wait(first, timeout=LONGEST_WAIT)
    return {address: probe.reachable for address, probe in probes.items()}


def _ask(probe: _Probe, address: Address) -> None:
    reachable = _listens(*address)
    probe.reachable, probe.at = reachable, time.monotonic()


def _listens(address: str, guard: AddressGuard | None = None) -> bool:
    parts = urlsplit(address)
    if not parts.hostname:
        return False
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        if guard is None:
            socket.create_connection((parts.hostname, port), timeout=CONNECT_SECONDS).close()
            return True
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
        with guard.socket(found[0]) as sock:
            sock.settimeout(CONNECT_SECONDS)
            sock.connect(found[0][4])
    except (OSError, ValueError):
        return False
    return True
