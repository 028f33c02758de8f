"""A span of time as a person chose it, in their own days, and the parts that a chart over it has."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal, cast
from zoneinfo import ZoneInfo

from billing.sealing import HOUR, hour_of
from workspaces.access import Invalid

Range = Literal["today", "week", "month", "all", "custom"]
Unit = Literal["hour", "day", "week", "month"]
DAYS = {"today": 1, "week": 7, "month": 30}
LONGEST_DAYS = 366 * 20


@dataclass(frozen=True, slots=True)
class Span:
    """From the start of one local day to the end of another; `name` is the range it was chosen by."""

    name: Range
    first: date
    last: date
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        return midnight(self.first, self.zone)

    @property
    def end(self) -> datetime:
        return midnight(self.last + timedelta(days=1), self.zone)

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def unit(self) -> Unit:
        """How long a part of a chart is, so that a chart has between a dozen and about a hundred."""
        if self.days <= 2:
            return "hour"
        if self.days <= 93:
            return "day"
        return "week" if self.days <= 730 else "month"

    def parts(self) -> list[datetime]:
        """Beginnings of the parts in UTC, in order; one ends where the next begins, the last at `end`."""
        if self.unit == "hour":
            start, end = self.start, self.end
            return [start + n * HOUR for n in range(-(-(end - start) // HOUR))]
        days = [self.first, *self._later()]
        return [midnight(day, self.zone) for day in days]

    def midnights(self) -> list[datetime]:
        """Beginnings of all its days in UTC, in order."""
        return [midnight(self.first + timedelta(days=n), self.zone) for n in range(self.days)]

    def _later(self) -> Iterator[date]:
        day = self.first
        while True:
            match self.unit:
                case "week":
                    day += timedelta(days=7 - day.weekday())
                case "month":
                    day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                case _:
                    day += timedelta(days=1)
            if day > self.last:
                return
            yield day

    def before(self) -> Span:
        """As many days right before it."""
        return Span(
            "custom", self.first - timedelta(days=self.days), self.first - timedelta(days=1), self.zone
        )


def midnight(day: date, zone: ZoneInfo) -> datetime:
    """The beginning of a local day, in UTC; where clocks skip midnight, the first moment that is there."""
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def span_of(
    chosen: str,
    zone: ZoneInfo,
    *,
    since: date | None = None,
    until: date | None = None,
    first: datetime | None = None,
    now: datetime,
) -> Span:
    """The span of a range, or of both days where they are given; `first` is where `all` begins. Raises `Invalid`."""
    today = now.astimezone(zone).date()
    if since is not None or until is not None:
        end = until if until is not None else max(today, since or today)
        begin = since if since is not None else end - timedelta(days=DAYS["month"] - 1)
        if begin > end:
            raise Invalid("from must not be after to.")
        if not 1 <= (end - begin).days + 1 <= LONGEST_DAYS or not 1990 <= begin.year <= end.year <= 2200:
            raise Invalid("from and to must be at most 20 years apart, between 1990 and 2200.")
        return Span("custom", begin, end, zone)
    if chosen == "all":
        begin = today if first is None else min(today, first.astimezone(zone).date())
        return Span("all", max(begin, today - timedelta(days=LONGEST_DAYS)), today, zone)
    if chosen not in DAYS:
        raise Invalid("range must be one of today, week, month, all; or give from and to.")
    return Span(cast(Range, chosen), today - timedelta(days=DAYS[chosen] - 1), today, zone)


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of one part that is read from one place."""

    part: int
    start: datetime
    end: datetime


def pieces(parts: list[datetime], end: datetime, sealed: datetime) -> tuple[list[Piece], list[Piece]]:
    """Where the parts are read: whole sealed hours, and the rest from the attempts. No moment is in two, none in neither.

    A part that begins within an hour (India's midnight is 18:30) takes the edges from the attempts.
    """
    hours: list[Piece] = []
    attempts: list[Piece] = []
    for number, start in enumerate(parts):
        stop = parts[number + 1] if number + 1 < len(parts) else end
        low = hour_of(start) if start == hour_of(start) else hour_of(start) + HOUR
        high = min(hour_of(stop), sealed)
        if low < high:
            hours.append(Piece(number, low, high))
            rest = [(start, low), (high, stop)]
        else:
            rest = [(start, stop)]
        attempts += [Piece(number, a, b) for a, b in rest if a < b]
    return hours, attempts
