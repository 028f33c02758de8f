"""Which price holds for a request, and what tokens cost at it. Integers only: pico-USD.

Looked for in this order: a price set here (exact name before `prefix*`), own hardware
(an explicit 0), the price table of genai-prices. A table price becomes a row at its
first use, so that the attempt can name what it was charged by; an unknown model has no
price at all (`None`), which is not 0.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import cast
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q, QuerySet

from agents.providers import find_spec
from billing.catalogue import SOURCE, catalogue_tiers
from billing.models import BUCKETS, FEES, PriceVersion
from nexus_core.usage import Cost, Usage
from workspaces.statements import Compiled

OVERRIDE, CATALOGUE, HARDWARE = (
    PriceVersion.Origin.OVERRIDE,
    PriceVersion.Origin.CATALOGUE,
    PriceVersion.Origin.HARDWARE,
)

MOST_PRICE = 10**12
"""pico-USD: a dollar for one token, or one search. What costs more was mistyped."""


@dataclass(frozen=True, slots=True)
class TierPrices:
    """pico-USD per token in each bucket, for requests with more than `context_over` input tokens."""

    input: int
    output: int
    cache_read: int
    cache_write_5m: int
    cache_write_1h: int
    reasoning: int | None = None
    context_over: int = 0
    per_request: int | None = None
    per_search: int | None = None

    def __post_init__(self) -> None:
        for name in (*BUCKETS, *FEES, "context_over"):
            value = getattr(self, name)
            if name in ("reasoning", *FEES) and value is None:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < 0:
                raise ValueError(f"{name} must be a whole number of pico-USD, 0 or more, not {value!r}")
            if name != "context_over" and value > MOST_PRICE:
                raise ValueError(
                    f"{name} is more than {MOST_PRICE} pico-USD: a dollar for one token is no price"
                )

    def cost(self, usage: Usage) -> Cost:
        """What one request with these tokens costs, exactly. Fees by the piece are on the side of the input."""
        thinking = self.output if self.reasoning is None else self.reasoning
        return Cost(
            input=usage.input * self.input
            + usage.cache_read * self.cache_read
            + usage.cache_write_5m * self.cache_write_5m
            + usage.cache_write_1h * self.cache_write_1h
            + (self.per_request or 0)
            + usage.searches * (self.per_search or 0),
            output=usage.output * self.output + usage.reasoning * thinking,
        )


FREE = TierPrices(0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class PriceSheet:
    """One version of a price with its tiers, lowest first, each with the id of its row."""

    tiers: tuple[tuple[UUID, TierPrices], ...]

    def tier(self, context_tokens: int) -> tuple[UUID, TierPrices]:
        """The tier of a request with so many input tokens, cached ones included."""
        found = self.tiers[0]
        for row in self.tiers:
            if context_tokens > row[1].context_over:
                found = row
        return found

    def tier_for(self, usage: Usage) -> tuple[UUID, TierPrices]:
        return self.tier(usage.input + usage.cache_read + usage.cache_write)

    def cost(self, usage: Usage) -> Cost:
        return self.tier_for(usage)[1].cost(usage)


def price_sheet_for(provider: str, model: str, at: datetime) -> PriceSheet | None:
    """The price in force at that moment, `None` where none is known."""
    rows = _rows_in_force(provider, model, at)
    for origin in (OVERRIDE, HARDWARE):
        if sheet := _best(row for row in rows if row.origin == origin):
            return sheet
    spec = find_spec(provider)
    if spec is not None and spec.free:
        return price_version_add(
            origin=HARDWARE, provider=provider, model="*", at=at, tiers=[FREE], source="own hardware"
        )
    ids = (spec.price_id or provider, spec.base_url) if spec is not None else (provider, "")
    units = catalogue_tiers(*ids, model, at)
    if units is None:
        return None
    tiers = [TierPrices(**cast(dict[str, int], unit)) for unit in units]
    digest = content_hash(tiers)
    current = [row for row in rows if row.origin == CATALOGUE and row.model == model]
    if current and current[0].content_hash == digest:
        return _sheet(current)
    return price_version_add(
        origin=CATALOGUE, provider=provider, model=model, at=at, tiers=tiers, source=SOURCE
    )


def price_for(
    provider: str, model: str, at: datetime, context_tokens: int = 0
) -> tuple[UUID, TierPrices] | None:
    """The row and prices for a request with so many input tokens; `None`: unpriced."""
    sheet = price_sheet_for(provider, model, at)
    return None if sheet is None else sheet.tier(context_tokens)


def price_sheet_of(row: PriceVersion) -> PriceSheet:
    """All tiers of the version that a row belongs to."""
    return _sheet(
        PriceVersion.objects.filter(
            origin=row.origin, provider=row.provider, model=row.model, valid_from=row.valid_from
        )
    )


AT_ONCE = timedelta(minutes=1)
"""Within this time two first uses of a price are one and the same."""


@transaction.atomic
def price_version_add(
    *,
    origin: str = OVERRIDE,
    provider: str,
    model: str,
    at: datetime,
    tiers: Sequence[TierPrices],
    until: datetime | None = None,
    source: str = "",
) -> PriceSheet:
    """Adds a version that begins at `at`: the one before it ends there, and it ends where the next begins.

    The same content as what is in force is not added again. Raises `ValueError` for no tier,
    two of one threshold, or an end before the beginning; `IntegrityError` for a second one at that moment.
    """
    thresholds = [tier.context_over for tier in tiers]
    if 0 not in thresholds or len(set(thresholds)) != len(thresholds):
        raise ValueError("A price needs one tier from 0 on, and one of each threshold.")
    if until is not None and until <= at:
        raise ValueError("A price must end after it begins.")
    _lock(f"price:{origin}:{provider}:{model}")
    family = PriceVersion.objects.filter(origin=origin, provider=provider, model=model)
    digest = content_hash(tiers)
    before = family.filter(valid_from__lte=at).filter(Q(valid_to__isnull=True) | Q(valid_to__gt=at))
    in_force = list(before)
    if in_force and in_force[0].content_hash == digest and until is None:
        return _sheet(in_force)
    following = (
        family.filter(valid_from__gt=at).order_by("valid_from").values_list("valid_from", flat=True).first()
    )
    if following is not None and until is None and not in_force:
        # Two first uses at once, and the later one was quicker: its row has the same numbers.
        after = list(family.filter(valid_from=following))
        if after[0].content_hash == digest and following - at < AT_ONCE:
            return _sheet(after)
    if following is not None and (until is None or following < until):
        until = following
    before.filter(valid_from__lt=at).update(valid_to=at)
    rows = [
        PriceVersion(
            origin=origin,
            provider=provider,
            model=model,
            valid_from=at,
            valid_to=until,
            source=source,
            content_hash=digest,
            **asdict(tier),
        )
        for tier in tiers
    ]
    return _sheet(PriceVersion.objects.bulk_create(rows))


def content_hash(tiers: Iterable[TierPrices]) -> str:
    """The same for the same numbers, whatever the order of the tiers."""
    lines = sorted(
        ":".join(
            str(getattr(tier, name))
            for name in ("context_over", *BUCKETS, *(fee for fee in FEES if getattr(tier, fee) is not None))
        )
        for tier in tiers
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _may_apply(provider: str, model: str) -> QuerySet[PriceVersion]:
    return PriceVersion.objects.filter(Q(model=model) | Q(model__endswith="*"), provider=provider).order_by()


_MAY_APPLY = Compiled(_may_apply, "provider:text", "model:text")


def _rows_in_force(provider: str, model: str, at: datetime) -> list[PriceVersion]:
    rows = [
        row
        for row, _ in _MAY_APPLY.rows(provider, model)
        if row.valid_from <= at and (row.valid_to is None or row.valid_to > at)
    ]
    return [
        row
        for row in rows
        if row.model == model or (row.model[-1:] == "*" and model.startswith(row.model[:-1]))
    ]


def _best(rows: Iterable[PriceVersion]) -> PriceSheet | None:
    """The version with the longest name; an exact one before any prefix."""
    found = sorted(rows, key=lambda row: (not row.model.endswith("*"), len(row.model)))
    return _sheet([row for row in found if row.model == found[-1].model]) if found else None


def _sheet(rows: Iterable[PriceVersion]) -> PriceSheet:
    tiers = [
        (
            row.pk,
            TierPrices(
                **{name: getattr(row, name) for name in (*BUCKETS, *FEES)}, context_over=row.context_over
            ),
        )
        for row in rows
    ]
    return PriceSheet(tuple(sorted(tiers, key=lambda tier: tier[1].context_over)))


def _lock(key: str) -> None:
    """One writer of a price at a time. SQLite's transactions are exclusive from the start."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [key])
