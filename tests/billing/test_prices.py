"""Prices: exact whole pico-USD, dated, without overlap, never edited."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone
from genai_prices import data_snapshot

from billing.models import PriceIsImmutable, PriceVersion
from billing.prices import TierPrices, price_for, price_sheet_for, price_version_add
from nexus_core.providers.table import PROVIDERS
from nexus_core.usage import Cost, Usage, pico_to_usd

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)

pytestmark = pytest.mark.django_db


def flat(price: int, over: int = 0) -> TierPrices:
    return TierPrices(price, price * 5, price, price, price, context_over=over)


def test_it_prices_every_bucket_exactly() -> None:
    # $2 in, $10 out, $0.10 cache read, $2.50 and $4 cache write, per million tokens.
    sheet = price_sheet_for("anthropic", "claude-sonnet-5-5", NOON)
    assert sheet is not None
    usage = Usage(
        input=245, output=1023, cache_read=80_001, cache_write_5m=4_003, cache_write_1h=6_007, reasoning=11
    )
    cost = sheet.cost(usage)
    # 245×2,000,000 + 80,001×100,000 + 4,003×2,500,000 + 6,007×4,000,000
    assert cost.input == 490_000_000 + 8_000_100_000 + 10_007_500_000 + 24_028_000_000
    # thinking costs what output costs
    assert cost.output == (1023 + 11) * 10_000_000
    assert pico_to_usd(cost.total) == "0.0528656"


def test_every_provider_but_these_is_in_the_price_table() -> None:
    """Red when the table learns one of them: give it its `price_id`, and tell it in docs/troubleshooting.md."""
    known = {provider.id for provider in data_snapshot.get_snapshot().providers}
    asks = {spec.name: spec.price_id or spec.name for spec in PROVIDERS if not spec.free}
    missing = {name for name, wanted in asks.items() if wanted not in known}
    assert missing == {"qwen", "nvidia", "github", "sambanova"}


def test_it_agrees_with_the_table_to_the_last_digit() -> None:
    from genai_prices import Usage as TableUsage
    from genai_prices import calc_price

    sheet = price_sheet_for("openai", "gpt-6.1-sol", NOON)
    assert sheet is not None
    cost = sheet.cost(Usage(input=10_000, cache_read=80_000, cache_write_5m=10_000, output=5_000))
    theirs = calc_price(
        TableUsage(
            input_tokens=100_000, cache_read_tokens=80_000, cache_write_tokens=10_000, output_tokens=5_000
        ),
        "gpt-6.1-sol",
        provider_id="openai",
        genai_request_timestamp=NOON,
    )
    assert cost.input == theirs.input_price * 10**12
    assert cost.output == theirs.output_price * 10**12


@pytest.mark.parametrize(("tokens", "per_token"), [(99_999, 100_000), (100_000, 100_000), (100_001, 500_000)])
def test_it_charges_the_whole_request_at_its_tier(tokens: int, per_token: int) -> None:
    # claude-haiku-5-5: $0.10 up to 100,000 input tokens, $0.50 for all of them beyond
    sheet = price_sheet_for("anthropic", "claude-haiku-5-5", NOON)
    assert sheet is not None
    assert sheet.cost(Usage(input=tokens)).input == tokens * per_token


def test_it_counts_cached_tokens_towards_the_tier() -> None:
    sheet = price_sheet_for("anthropic", "claude-haiku-5-5", NOON)
    assert sheet is not None
    assert sheet.cost(Usage(input=1, cache_read=100_000)).input == 500_000 + 100_000 * 50_000


def test_it_takes_the_price_of_the_day() -> None:
    # gemini-4-argon doubles on 1 December 2026
    before = price_for("google", "gemini-4-argon", datetime(2026, 11, 30, 23, 59, tzinfo=UTC))
    after = price_for("google", "gemini-4-argon", datetime(2026, 12, 1, 0, 0, tzinfo=UTC))
    assert before is not None
    assert after is not None
    assert after[1].input == 2 * before[1].input
    old, new = (PriceVersion.objects.get(pk=row[0]) for row in (before, after))
    assert old.valid_to == new.valid_from == datetime(2026, 12, 1, tzinfo=UTC)


def test_it_names_a_row_and_makes_it_once() -> None:
    first = price_for("anthropic", "claude-opus-5-5", NOON)
    again = price_for("anthropic", "claude-opus-5-5", NOON + DAY)
    assert first is not None
    assert first == again
    assert PriceVersion.objects.filter(model="claude-opus-5-5").count() == 1


def test_an_unknown_model_has_no_price() -> None:
    assert price_for("openai", "no-such-model", NOON) is None
    assert price_for("no-such-provider", "gpt-6.1-sol", NOON) is None
    assert not PriceVersion.objects.exists()


@pytest.mark.parametrize("provider", ["local", "scripted", "ollama", "vllm"])
def test_own_hardware_costs_0_by_an_explicit_row(provider: str) -> None:
    found = price_for(provider, "anything", NOON)
    assert found is not None
    row = PriceVersion.objects.get(pk=found[0])
    assert (row.origin, row.model, row.input, row.output) == ("hardware", "*", 0, 0)


def test_a_price_set_here_comes_before_the_table() -> None:
    price_version_add(provider="openai", model="gpt-6-luna", at=NOON, tiers=[flat(7)])
    before = price_for("openai", "gpt-6-luna", NOON - DAY)
    after = price_for("openai", "gpt-6-luna", NOON)
    assert before is not None
    assert before[1].input == 100_000
    assert after is not None
    assert after[1].input == 7


def test_it_prefers_an_exact_name_then_the_longest_prefix() -> None:
    for model, price in (("*", 1), ("acme-*", 2), ("acme-large*", 3), ("acme-large-2", 4)):
        price_version_add(provider="acme", model=model, at=NOON, tiers=[flat(price)])
    prices = [
        price_for("acme", name, NOON) for name in ("other", "acme-small", "acme-large-3", "acme-large-2")
    ]
    assert [found[1].input for found in prices if found is not None] == [1, 2, 3, 4]


def test_a_newer_version_ends_the_one_before() -> None:
    for days, price in ((0, 1), (10, 2), (5, 3)):
        price_version_add(provider="acme", model="m", at=NOON + days * DAY, tiers=[flat(price)])
    told = [price_for("acme", "m", NOON + days * DAY) for days in (0, 4, 5, 9, 10, 99)]
    assert [found[1].input for found in told if found is not None] == [1, 1, 3, 3, 2, 2]


def test_a_version_with_an_end_gives_way_to_the_table_again() -> None:
    price_version_add(provider="openai", model="gpt-6-luna", at=NOON, until=NOON + DAY, tiers=[flat(7)])
    later = price_for("openai", "gpt-6-luna", NOON + DAY)
    assert later is not None
    assert later[1].input == 100_000


def test_a_newer_version_drops_tiers_that_it_does_not_have() -> None:
    price_version_add(provider="acme", model="m", at=NOON, tiers=[flat(1), flat(2, over=1000)])
    price_version_add(provider="acme", model="m", at=NOON + DAY, tiers=[flat(3)])
    found = price_for("acme", "m", NOON + DAY, context_tokens=5000)
    assert found is not None
    assert found[1].input == 3


def test_the_database_refuses_overlap() -> None:
    price_version_add(provider="acme", model="m", at=NOON, until=NOON + 2 * DAY, tiers=[flat(1)])
    row = PriceVersion.objects.get()
    for start, end in ((DAY, None), (-DAY, DAY), (DAY, 3 * DAY), (-DAY, None)):
        twin = PriceVersion(
            **{
                f.name: getattr(row, f.name)
                for f in row._meta.fields
                if f.name not in ("id", "valid_from", "valid_to")
            },
            valid_from=NOON + start,
            valid_to=None if end is None else NOON + end,
        )
        with pytest.raises(IntegrityError), transaction.atomic():
            twin.save()
    assert PriceVersion.objects.count() == 1


def test_the_database_refuses_to_change_a_price() -> None:
    price_version_add(provider="acme", model="m", at=NOON, tiers=[flat(1)])
    for change in ({"input": 2}, {"valid_from": NOON - DAY}, {"provider": "other"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            PriceVersion.objects.update(**change)
    PriceVersion.objects.update(valid_to=NOON + DAY)
    with pytest.raises(IntegrityError), transaction.atomic():
        PriceVersion.objects.update(valid_to=None)


def test_a_row_is_neither_saved_again_nor_deleted() -> None:
    price_version_add(provider="acme", model="m", at=NOON, tiers=[flat(1)])
    row = PriceVersion.objects.get()
    row.input = 9
    with pytest.raises(PriceIsImmutable):
        row.save()
    with pytest.raises(PriceIsImmutable):
        row.delete()


@pytest.mark.parametrize("wrong", [-1, 1.5, float("nan"), True, None])
def test_it_refuses_what_is_no_price(wrong: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        TierPrices(wrong, 1, 1, 1, 1)  # type: ignore[arg-type]
    with pytest.raises(IntegrityError), transaction.atomic():
        PriceVersion.objects.bulk_create(
            [
                PriceVersion(
                    provider="a",
                    model="m",
                    valid_from=NOON,
                    input=-1,
                    output=1,
                    cache_read=1,
                    cache_write_5m=1,
                    cache_write_1h=1,
                )
            ]
        )


def test_there_is_no_float_on_the_way_of_money() -> None:
    import ast
    from pathlib import Path

    import billing

    folder = Path(billing.__file__).parent
    for path in [*folder.glob("*.py"), folder.parent / "packages/nexus-core/src/nexus_core/usage.py"]:
        for node in ast.walk(ast.parse(path.read_text())):
            assert not (isinstance(node, ast.Name) and node.id == "float"), path
            assert not (isinstance(node, ast.Constant) and isinstance(node.value, float)), path
            assert not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div)), path
            assert not (isinstance(node, ast.Attribute) and node.attr == "FloatField"), path


def test_the_guards_are_in_this_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'"
            if connection.vendor == "sqlite"
            else "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
        )
        names = {row[0] for row in cursor.fetchall()}
    assert {"billing_price_no_overlap", "billing_price_immutable"} <= names


def test_fees_by_the_piece_are_part_of_the_cost_exactly() -> None:
    """Perplexity asks for each request besides tokens, others for each web search they made."""
    now = timezone.now()
    sheet = price_sheet_for("perplexity", "sonar", now)
    assert sheet is not None
    tier = sheet.tiers[0][1]
    assert tier.per_request == 12 * 10**9  # $12 per thousand requests
    usage = Usage(input=7, output=3)
    assert sheet.cost(usage) == Cost(7 * tier.input + 12 * 10**9, 3 * tier.output)
    claude = price_sheet_for("anthropic", "claude-sonnet-5-5", now)
    assert claude is not None
    prices = claude.tiers[0][1]
    assert (prices.per_request, prices.per_search) == (None, 10 * 10**9)
    with_searches = claude.cost(Usage(input=1, output=1, searches=3))
    assert with_searches.input == prices.input + 3 * 10 * 10**9


def test_a_fee_in_force_is_not_changed_either() -> None:
    sheet = price_sheet_for("perplexity", "sonar", timezone.now())
    assert sheet is not None
    with pytest.raises(DatabaseError), transaction.atomic():
        PriceVersion.objects.filter(pk=sheet.tiers[0][0]).update(per_request=1)


@pytest.mark.parametrize("name", ["qwen", "nvidia", "github", "sambanova"])
def test_what_the_table_does_not_know_stays_unpriced_until_somebody_sets_a_price(name: str) -> None:
    assert price_sheet_for(name, "some-model", timezone.now()) is None
