"""Numbers, money and times in the templates; `tests/js/format.test.js` has the same of the browser."""

from __future__ import annotations

import pytest

from conversations.pages import keyed_agents, many
from conversations.templatetags.nexus import money, seconds, token_line, usd

RUN = {
    "tokenUsage": {"total": 2418},
    "cost": {"total": "0.0124"},
    "durationMs": 9412,
    "provider": "anthropic",
    "estimated": False,
}


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0", "$0"), ("0.000000", "$0"), ("0.0124", "$0.0124"), ("18.42", "$18.42"), (None, "unpriced")],
)
def test_it_writes_money(amount, text):
    assert money(amount) == text


def test_it_writes_pico_dollars():
    assert [usd(0), usd(12_400_000_000), usd(None)] == ["$0", "$0.0124", "unpriced"]


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "<0.01 s"),
        (9, "<0.01 s"),
        (10, "0.01 s"),
        (880, "0.88 s"),
        (9412, "9.4 s"),
        (None, "–"),
        ("", "–"),
    ],
)
def test_it_calls_no_time_that_passed_zero(ms, text):
    assert seconds(ms) == text


def test_it_says_what_an_answer_took():
    assert token_line(RUN) == "2,418 tokens · $0.0124 · 9.4 s"
    assert token_line(RUN | {"provider": "local", "estimated": True}) == "about 2,418 tokens · free · 9.4 s"
    assert token_line(RUN | {"cost": {"total": None}}) == "2,418 tokens · unpriced · 9.4 s"


def test_it_says_nothing_of_tokens_and_money_where_nothing_was_counted():
    failed = RUN | {"tokenUsage": {"total": 0}, "cost": {"total": "0"}, "estimated": True}
    assert token_line(failed) == "9.4 s"
    assert token_line(failed | {"durationMs": None}) == ""
    assert token_line(None) == ""


def test_it_counts_agents_in_words():
    assert [keyed_agents(1), keyed_agents(3)] == ["1 agent answers with it", "3 agents answer with it"]
    assert [many(1, "agent"), many(2, "agent")] == ["1 agent", "2 agents"]
