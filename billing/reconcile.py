"""Comparing a provider's own account of usage with the ledger, request by request or day by day.

The export is CSV with a header, a JSON list, or JSON lines. Columns are found by the names that providers use. With
request ids every request is compared; without them the sums of each day and model.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import orjson

from billing.models import Attempt
from nexus_core.usage import PICO_PER_USD, pico_to_usd

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "request_id": ("request_id", "requestId", "id", "provider_request_id"),
    "model": ("model", "model_id", "model_version", "snapshot_id"),
    "at": ("timestamp", "created_at", "date", "usage_date_utc", "start_time", "time", "day"),
    "input": ("input_tokens", "prompt_tokens", "n_context_tokens_total", "usage_input_tokens", "uncached_input_tokens",
              "usage_input_tokens_no_cache"),
    "cache_read": ("cache_read_tokens", "cache_read_input_tokens", "input_cached_tokens", "cached_input_tokens",
                   "usage_input_tokens_cache_read"),
    "cache_write": ("cache_write_tokens", "cache_creation_input_tokens", "usage_input_tokens_cache_write"),
    "output": ("output_tokens", "completion_tokens", "n_generated_tokens_total", "usage_output_tokens"),
    "cost": ("cost", "cost_usd", "amount", "amount_usd", "total_cost"),
}  # fmt: skip
"""Ours on the left; on the right what exports call it. Input is what is neither read from nor written to a cache,
unless the caller says that it includes that."""
COUNTS = ("input", "cache_read", "cache_write", "output")


class ExportUnreadable(ValueError):
    """The text says what is wrong with the file."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Tokens by bucket (output with reasoning), requests, and pico-USD (None: not told)."""

    input: int = 0
    cache_read: int = 0
    cache_write: int = 0
    output: int = 0
    requests: int = 0
    cost: int | None = None

    def __add__(self, other: Sums) -> Sums:
        cost = self.cost if other.cost is None else other.cost + (self.cost or 0)
        return Sums(
            self.input + other.input,
            self.cache_read + other.cache_read,
            self.cache_write + other.cache_write,
            self.output + other.output,
            self.requests + other.requests,
            cost,
        )


@dataclass(frozen=True, slots=True)
class Mismatch:
    """One request, or one day and model. `theirs` or `ours` None: only the other side knows it."""

    key: str
    theirs: Sums | None
    ours: Sums | None

    def __str__(self) -> str:
        if self.ours is None:
            return f"{self.key}: not in the ledger; the provider counts {_told(self.theirs)}"
        if self.theirs is None:
            return f"{self.key}: not in the export; the ledger counts {_told(self.ours)}"
        return f"{self.key}: the provider counts {_told(self.theirs)}, the ledger {_told(self.ours)}"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of an export."""

    request_id: str
    model: str
    day: date | None
    sums: Sums


def export_read(text: str, *, input_includes_cache: bool = False) -> list[Line]:
    """Raises `ExportUnreadable`."""
    lines = [_line(row, number, input_includes_cache) for number, row in enumerate(_rows(text), 1)]
    if not lines:
        raise ExportUnreadable("the export has no rows")
    return lines


def reconcile(provider: str, lines: list[Line]) -> list[Mismatch]:
    """Every difference between the export and the ledger, in the order of their keys."""
    by_request = all(line.request_id for line in lines)
    theirs: dict[str, Sums] = defaultdict(Sums)
    for line in lines:
        if not by_request and line.day is None:
            raise ExportUnreadable("the export names neither requests nor days")
        theirs[line.request_id if by_request else f"{line.day} {line.model}"] += line.sums
    ours: dict[str, Sums] = defaultdict(Sums)
    days = [line.day for line in lines if line.day is not None]
    for key, sums in _ledger(provider, by_request, set(theirs), days):
        ours[key] += sums
    found = []
    for key in sorted(theirs.keys() | ours.keys()):
        told, known = theirs.get(key), ours.get(key)
        if told is None or known is None or not _same(told, known):
            found.append(Mismatch(key, told, known))
    return found


def _same(theirs: Sums, ours: Sums) -> bool:
    """Money is compared only where both sides tell it."""
    if any(getattr(theirs, name) != getattr(ours, name) for name in COUNTS):
        return False
    return theirs.cost is None or ours.cost is None or theirs.cost == ours.cost


def _ledger(
    provider: str, by_request: bool, requests: set[str], days: list[date]
) -> Iterator[tuple[str, Sums]]:
    rows = Attempt.objects.filter(provider=provider, settled_at__isnull=False).exclude(
        status=Attempt.Status.RELEASED
    )
    if days:
        first, last = min(days), max(days)
        rows = rows.filter(reserved_at__date__gte=first, reserved_at__date__lte=last)
    elif by_request:
        rows = rows.filter(request_id__in=requests)
    for row in rows.iterator():
        sums = Sums(
            input=row.tokens_input,
            cache_read=row.tokens_cache_read,
            cache_write=row.tokens_cache_write_5m + row.tokens_cache_write_1h,
            output=row.tokens_output + row.tokens_reasoning,
            requests=1,
            cost=row.cost_total,
        )
        if not by_request:
            yield f"{row.reserved_at.astimezone(UTC).date()} {row.answered_model or row.model}", sums
        elif row.request_id:
            yield row.request_id, sums
        elif row.tokens_total:
            yield f"(no request id) {row.pk}", sums


def _rows(text: str) -> Iterator[Mapping[str, Any]]:
    start = text.lstrip("\ufeff \r\n\t")
    try:
        if start.startswith("["):
            found = orjson.loads(start)
            items = found
        elif start.startswith("{"):
            try:
                found = orjson.loads(start)
                items = found.get("data", [found])
            except orjson.JSONDecodeError:
                items = [orjson.loads(line) for line in start.splitlines() if line.strip()]
        else:
            items = list(csv.DictReader(io.StringIO(start)))
    except (orjson.JSONDecodeError, csv.Error) as why:
        raise ExportUnreadable(f"the export is neither CSV nor JSON ({why})") from None
    for item in items:
        if not isinstance(item, Mapping):
            raise ExportUnreadable("a row of the export is no object")
        yield item


def _line(row: Mapping[str, Any], number: int, input_includes_cache: bool) -> Line:
    def value(name: str) -> Any:
        return next((row[column] for column in COLUMNS[name] if row.get(column) not in (None, "")), None)

    counts = {name: _count(value(name), name, number) for name in COUNTS}
    if input_includes_cache:
        counts["input"] -= counts["cache_read"] + counts["cache_write"]
    if not any(column in row for name in ("input", "output") for column in COLUMNS[name]):
        raise ExportUnreadable(f"row {number} has no column of tokens; known are {COLUMNS['input'][:3]} …")
    at = value("at")
    return Line(
        request_id=str(value("request_id") or ""),
        model=str(value("model") or ""),
        day=None if at is None else _day(at, number),
        sums=Sums(**counts, requests=1, cost=_cost(value("cost"), number)),
    )


def _count(value: Any, name: str, number: int) -> int:
    try:
        return int(value or 0)
    except (TypeError, ValueError):
        raise ExportUnreadable(f"row {number}: {name} is {value!r}") from None


def _cost(value: Any, number: int) -> int | None:
    if value is None:
        return None
    try:
        # A JSON number is read as it is written in decimal; what is finer than a pico-USD is cut.
        return int(Decimal(str(value)) * PICO_PER_USD)
    except (InvalidOperation, ValueError, OverflowError):
        raise ExportUnreadable(f"row {number}: cost is {value!r}") from None


def _day(value: Any, number: int) -> date:
    text = str(value)
    try:
        if text.isdigit():
            return datetime.fromtimestamp(int(text), UTC).date()
        if len(text) == 10:
            return date.fromisoformat(text)
        found = datetime.fromisoformat(text)
        return (found.astimezone(UTC) if found.tzinfo else found).date()
    except (ValueError, OverflowError, OSError):
        raise ExportUnreadable(f"row {number}: the time is {text!r}") from None


def _told(sums: Sums | None) -> str:
    if sums is None:
        return "nothing"
    told = ", ".join(f"{name} {getattr(sums, name)}" for name in COUNTS if getattr(sums, name)) or "0 tokens"
    return told if sums.cost is None else f"{told}, {pico_to_usd(sums.cost)} USD"
