"""What a model call consumed: token buckets and money.

Buckets are disjoint: a token is counted in exactly one of them, so the total is
their sum. Each provider adapter says which of its own numbers include which
(Anthropic's input excludes the cache, OpenAI's includes it). Prices live in the
host (Nexus keeps them in `billing`); this module knows only the unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

PICO_PER_USD = 10**12
"""Money is an integer number of pico-USD: $0.0375 per million tokens is 37,500 of them per token."""

MOST_USD = 9_000_000
"""US dollars: the largest amount that 64 bits of pico-USD hold, rounded down."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one provider request, or of several added up.

    Attributes:
        input: prompt tokens that were neither read from nor written to a cache.
        output: visible answer tokens (text and tool arguments), without reasoning.
        cache_read: prompt tokens served from the provider's cache.
        cache_write_5m: prompt tokens written to a cache with the short lifetime
            (also where a provider does not say which lifetime).
        cache_write_1h: prompt tokens written to a cache with the long lifetime.
        reasoning: thinking tokens, billed as output by all known providers.
        estimated: the provider never said; the numbers were counted here.
        searches: web searches that the provider made and charges by the piece; no tokens.
    """

    input: int = 0
    output: int = 0
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    estimated: bool = False
    searches: int = 0

    @property
    def cache_write(self) -> int:
        return self.cache_write_5m + self.cache_write_1h

    @property
    def total(self) -> int:
        return self.input + self.output + self.cache_read + self.cache_write + self.reasoning

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write_5m=self.cache_write_5m + other.cache_write_5m,
            cache_write_1h=self.cache_write_1h + other.cache_write_1h,
            reasoning=self.reasoning + other.reasoning,
            estimated=self.estimated or other.estimated,
            searches=self.searches + other.searches,
        )

    def to_wire(self) -> dict[str, int]:
        """The `tokenUsage` object of PROTOCOL.md."""
        return {
            "input": self.input,
            "output": self.output,
            "cacheRead": self.cache_read,
            "cacheWrite": self.cache_write,
            "reasoning": self.reasoning,
            "total": self.total,
        }


@dataclass(frozen=True, slots=True)
class Cost:
    """Money of one or several calls in pico-USD; `None` where no price is known (never 0)."""

    input: int | None = 0
    output: int | None = 0

    @property
    def total(self) -> int | None:
        if self.input is None or self.output is None:
            return None
        return self.input + self.output

    def __add__(self, other: Cost) -> Cost:
        def plus(a: int | None, b: int | None) -> int | None:
            return None if a is None or b is None else a + b

        return Cost(plus(self.input, other.input), plus(self.output, other.output))

    def to_wire(self) -> dict[str, str | None]:
        """The `cost` object of PROTOCOL.md: exact decimal strings of US dollars, null if unpriced."""
        return {
            "input": pico_to_usd(self.input),
            "output": pico_to_usd(self.output),
            "total": pico_to_usd(self.total),
            "currency": "USD",
        }


def pico_to_usd(pico: int | None) -> str | None:
    """`37500` → `"0.0000000375"`; exact, without exponent; `None` stays `None`."""
    if pico is None:
        return None
    text = format(Decimal(pico).scaleb(-12), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def usd_to_pico(usd: Decimal | str | int) -> int:
    """`"0.0000000375"` → `37500`; exact. Raises `ValueError` for a negative amount, one that is no number, and one
    finer than a pico-USD."""
    if isinstance(usd, bool) or not isinstance(usd, Decimal | str | int):
        raise ValueError(f"{usd!r} is no exact amount: give a decimal string")
    try:
        amount = Decimal(usd)
    except InvalidOperation:
        raise ValueError(f"{usd!r} is no amount of dollars") from None
    if not amount.is_finite() or amount < 0 or amount > MOST_USD:
        raise ValueError(f"{usd!r} is no amount of dollars between 0 and {MOST_USD}")
    pico = amount.scaleb(12)
    if pico != pico.to_integral_value():
        raise ValueError(f"{usd!r} is finer than 12 decimal places")
    return int(pico)
