"""How often the engine looks, in seconds: everything follows the lease, so that a shorter one is kept as well."""

from __future__ import annotations

from django.conf import settings


def _lease() -> float:
    return float(settings.NEXUS_LEASE_SECONDS)


def heartbeat() -> float:
    """Between two renewals: three may be lost before the lease ends."""
    return _lease() / 4


def sweep() -> float:
    """Between two looks for runs that nobody works on."""
    return min(3.0, _lease() / 5)


def queued_grace() -> float:
    """How old a queued run is before it counts as forgotten by who enqueued it."""
    return min(2.0, _lease() / 5)


def redelivery() -> float:
    """After so much silence of a worker its deliveries go to another one: one that died before its claim
    holds a key that nobody else can add again. It is noticed a quarter later at most."""
    return min(10.0, _lease() * 2 / 3)


def reconnect() -> float:
    """Before a worker that lost Redis asks for it again."""
    return min(1.0, _lease() / 5)
