"""The providers of this installation: the table of `nexus_core`, with the rows that operators changed or added.

A `ProviderEndpoint` of the same name stands in for a row of the table; one that is
switched off takes the provider away. Keys: a person's own, then the workspace's, then
the environment's.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_delete, post_save

from agents.models import ProviderEndpoint
from nexus_core.addresses import AddressGuard
from nexus_core.providers.base import ProviderSpec
from nexus_core.providers.table import BY_NAME, resolve_base_url, resolve_key
from workspaces.models import ProviderKey, Workspace
from workspaces.provider_keys import provider_key_for

EDITABLE = (
    "label",
    "wire",
    "base_url",
    "base_url_var",
    "headers",
    "price_id",
    "free",
    "sends_cache_key",
    "note",
)


def table() -> dict[str, ProviderSpec]:
    """The shipped rows by name."""
    return dict(BY_NAME)


def all_specs() -> dict[str, ProviderSpec]:
    """Every provider that is switched on, by name. One query; what it finds is remembered for `find_spec`."""
    global _remembered, _at_hand
    specs = table()
    for row in ProviderEndpoint.objects.all():
        if row.is_enabled:
            specs[row.name] = spec_of(row)
        else:
            specs.pop(row.name, None)
    _remembered = (time.monotonic(), specs)
    _at_hand = specs
    return specs


REMEMBERED_SECONDS = 2.0
"""How long a change of an endpoint takes until the runs of another process see it; here it is seen at once."""

_remembered: tuple[float, dict[str, ProviderSpec]] | None = None
_at_hand: dict[str, ProviderSpec] = dict(BY_NAME)


def find_spec(name: str) -> ProviderSpec | None:
    """One provider, `None` if it is unknown or switched off. Asked at every run, so remembered a moment."""
    if _remembered is None or time.monotonic() - _remembered[0] > REMEMBERED_SECONDS:
        return all_specs().get(name)
    return _remembered[1].get(name)


def spec_at_hand(name: str) -> ProviderSpec | None:
    """The provider as it was when this process looked last; never asks the database, so it serves the event loop."""
    return _at_hand.get(name)


def forget_specs(**_: Any) -> None:
    """After a change of an endpoint (connected to its signals), and between tests."""
    global _remembered
    _remembered = None


post_save.connect(forget_specs, sender=ProviderEndpoint, dispatch_uid="agents.forget_specs")
post_delete.connect(forget_specs, sender=ProviderEndpoint, dispatch_uid="agents.forget_specs")


def spec_of(row: ProviderEndpoint) -> ProviderSpec:
    return ProviderSpec(
        name=row.name,
        label=row.label,
        wire=row.wire,  # type: ignore[arg-type]
        base_url=row.base_url,
        key_vars=tuple(row.key_vars),
        base_url_var=row.base_url_var,
        price_id=row.price_id,
        free=row.free,
        sends_cache_key=row.sends_cache_key,
        headers=dict(row.headers),
        note=row.note,
    )


def spec_hash(spec: ProviderSpec) -> str:
    """The same for the same row, to see whether somebody edited it."""
    text = json.dumps(asdict(spec), sort_keys=True, default=list)
    return hashlib.sha256(text.encode()).hexdigest()


@transaction.atomic
def endpoints_seed() -> int:
    """Writes the shipped rows; an edited row stays as it is. How many were written."""
    existing = ProviderEndpoint.objects.in_bulk()
    written = 0
    for spec in table().values():
        digest = spec_hash(spec)
        row = existing.get(spec.name)
        if row is not None and (
            row.seeded == digest or not row.seeded or row.seeded != spec_hash(spec_of(row))
        ):
            continue
        fields: dict[str, Any] = {name: getattr(spec, name) for name in EDITABLE}
        fields["headers"] = dict(spec.headers)
        ProviderEndpoint.objects.update_or_create(
            name=spec.name, defaults={**fields, "key_vars": list(spec.key_vars), "seeded": digest}
        )
        written += 1
    return written


@dataclass(frozen=True, slots=True)
class KnownKey:
    """That there is a key, and whose; never the key."""

    source: str
    """`person`, `workspace` or `environment`."""
    last_four: str


def key_in_environment(spec: ProviderSpec) -> str | None:
    return resolve_key(spec, os.environ)


def address_of(spec: ProviderSpec) -> str:
    """The provider's address: the environment's where it names one, else the row's."""
    return resolve_base_url(spec, os.environ)


def guard_of(spec: ProviderSpec) -> AddressGuard | None:
    """Which addresses that provider may lead to. `None`, all: the address comes from the environment, or is the
    shipped one. One that somebody entered leads to the open internet, and to `NEXUS_PROVIDER_NETWORKS`."""
    shipped = BY_NAME.get(spec.name)
    if (spec.base_url_var and os.environ.get(spec.base_url_var)) or (
        shipped is not None and spec.base_url == shipped.base_url
    ):
        return None
    return AddressGuard(tuple(settings.NEXUS_PROVIDER_NETWORKS))


def key_for(spec: ProviderSpec, *, workspace_id: UUID, user_id: UUID | None) -> str | None:
    """The key to use: the person's, the workspace's, the environment's; `None` if there is none."""
    return provider_key_for(workspace_id, user_id, spec.name) or key_in_environment(spec)


def known_keys(workspace: Workspace, user_id: UUID | None) -> dict[str, KnownKey]:
    """Which providers have a key of the person's or the workspace's, in one query and without reading one."""
    mine = Q(user_id=user_id) if user_id and workspace.allow_personal_keys else Q(pk__isnull=True)
    rows = ProviderKey.objects.filter(Q(user__isnull=True) | mine, workspace=workspace)
    found: dict[str, KnownKey] = {}
    for provider, owner, last_four in rows.values_list("provider", "user_id", "last_four"):
        if owner is not None or provider not in found:
            found[provider] = KnownKey("person" if owner else "workspace", last_four)
    return found
