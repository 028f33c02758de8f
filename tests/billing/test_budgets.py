"""Budgets hold, whoever asks at the same moment, and whoever dies in between (M1, M2, M3)."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from billing.budget_models import Budget, BudgetPeriod, Reservation
from billing.meter import DbMeter
from billing.models import Attempt
from billing.settling import attempt_settle_lost
from billing.worst_case import LEAST_ANSWER, most_prompt_tokens
from nexus_core.errors import BudgetExceeded
from nexus_core.ports import Attempt as Reserved
from nexus_core.usage import Usage

from .booking import REQUEST, period, reserve, settle
from .conftest import request_to
from .money import IN, OUT, budget_of, holds, most, price_of, settle_all_open, somewhere
from .spender import spenders

# --- M1 ---


@pytest.mark.django_db(transaction=True)
def test_m1_of_a_hundred_at_once_exactly_the_fifty_that_fit_are_let_in(tmp_path: Path) -> None:
    price_of()
    where = somewhere()
    budget_of(where, 50 * most(REQUEST), on_end="refuse")
    with spenders(4, connection, tmp_path) as processes:
        for process in processes:
            process.tell(do="reserve", ids={"workspace_id": str(where)}, calls=25, max_tokens=1000)
        answers = [answer for process in processes for answer in process.hear()]
    assert (len(answers), sum(answer is not None for answer in answers)) == (100, 50)
    assert Attempt.objects.count() == 50  # what was refused left nothing behind
    assert period().reserved == 50 * most(REQUEST)
    holds()
    assert settle_all_open() == 50
    holds(quiet=True)


# --- M2 ---

_STEP = st.tuples(
    st.sampled_from(["reserve", "settle", "cut", "release", "lost", "again"]),
    st.integers(0, 2),  # who
    st.integers(1, 3000),  # answer tokens
)


@pytest.mark.django_db
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limits=st.tuples(st.integers(0, 60_000), st.integers(0, 30_000), st.integers(0, 30_000)),
    ends=st.tuples(*[st.sampled_from(["shrink", "refuse"])] * 3),
    hard=st.tuples(st.booleans(), st.booleans(), st.booleans()),
    steps=st.lists(_STEP, max_size=25),
)
def test_m2_nested_budgets_hold_after_every_step(limits: Any, ends: Any, hard: Any, steps: Any) -> None:
    """Who stands for: a person with a budget of their own, one who shares the agent's, one with both."""
    price_of()
    where, person = somewhere(), uuid4()
    scopes: list[dict[str, Any]] = [
        {"scope": "workspace", "period": "month"},
        {"scope": "user", "scope_id": str(person), "period": "day"},
        {"scope": "agent", "scope_id": "helper", "period": "total"},
    ]
    for limit, on_end, is_hard, scope in zip(limits, ends, hard, scopes, strict=True):
        budget_of(where, limit * IN, on_end=on_end, hard=is_hard, **scope)
    callers = [
        DbMeter(workspace_id=where, user_id=person),
        DbMeter(workspace_id=where, agent_slug="helper"),
        DbMeter(workspace_id=where, user_id=person, agent_slug="helper"),
    ]
    going: list[Reserved] = []
    ended: list[Reserved] = []
    for what, who, tokens in steps:
        if what == "reserve":
            with suppress(BudgetExceeded):
                going.append(reserve(callers[who], request_to("m1", max_tokens=tokens)))
        elif what == "again" and ended:
            assert not settle(ended[tokens % len(ended)], Usage(input=7, output=7))
        elif going and what != "again":
            attempt = going.pop(tokens % len(going))
            ended.append(attempt)
            told = Usage(input=tokens % 900, output=min(tokens, attempt.max_tokens))
            if what == "settle":
                assert settle(attempt, told)
            elif what == "cut":
                assert settle(attempt, None, status="cut", text="word " * min(50, attempt.max_tokens))
            elif what == "release":
                assert settle(attempt, None, status="failed", sent=False)
            else:
                assert attempt_settle_lost(
                    Attempt.objects.get(pk=attempt.id), min(tokens, attempt.max_tokens)
                )
        holds()
    for attempt in going:
        settle(attempt, Usage(input=1))
    holds(quiet=True)


# --- M3 ---


@pytest.mark.django_db(transaction=True)
def test_m3_a_kill_between_any_two_steps_leaks_nothing_and_charges_once(tmp_path: Path) -> None:
    price_of()
    where, run = somewhere(), uuid4()
    budget_of(where, 10**15)
    budget_of(where, 10**15, scope="agent", scope_id="helper", period="day")
    # The rows of the periods are there: every child goes the same way.
    settle(reserve(DbMeter(workspace_id=where, agent_slug="helper")), Usage(input=1))
    ids = {"workspace_id": str(where), "run_id": str(run), "agent_slug": "helper"}
    with spenders(1, connection, tmp_path) as [process]:
        process.tell(do="killed", ids=ids, max_tokens=100, most=60)
        died = process.hear()
    assert len(died) > 10
    holds()
    left = Attempt.objects.filter(status__in=Attempt.OPEN).count()
    assert 0 < left < len(died)
    assert period_sums() > 0  # what the dead held is held until somebody settles it
    assert settle_all_open() == left
    holds(quiet=True)
    assert settle_all_open() == 0


def period_sums() -> int:
    return sum(BudgetPeriod.objects.values_list("reserved", flat=True))


# --- refusing, shrinking ---


@pytest.mark.django_db
def test_a_refusal_names_the_budget_and_leaves_no_attempt() -> None:
    price_of()
    where = somewhere()
    budget_of(where, most(REQUEST) - 1, name="Marketing", on_end="refuse")
    with pytest.raises(BudgetExceeded, match="Marketing") as refusal:
        reserve(DbMeter(workspace_id=where))
    assert (refusal.value.code, refusal.value.budget, refusal.value.http_status) == (
        "budget_exceeded",
        "Marketing",
        402,
    )
    assert not Attempt.objects.exists()
    assert not Reservation.objects.exists()


@pytest.mark.django_db
def test_an_answer_shrinks_to_what_is_left_and_not_below_the_floor() -> None:
    price_of()
    where = somewhere()
    prompt = most_prompt_tokens(REQUEST) * IN
    budget = budget_of(where, prompt + 400 * OUT + 1, name="Small")
    attempt = reserve(DbMeter(workspace_id=where))
    assert (attempt.max_tokens, attempt.limited_by) == (400, "Small")
    assert Attempt.objects.get().max_tokens == 400
    settle(attempt, None, status="failed", sent=False)
    assert (period().spent, period().reserved) == (0, 0)
    Budget.objects.filter(pk=budget.pk).update(limit=prompt + (LEAST_ANSWER - 1) * OUT)
    with pytest.raises(BudgetExceeded):
        reserve(DbMeter(workspace_id=where))
    short = request_to("m1", max_tokens=40)  # who asks for less than the floor gets it
    assert reserve(DbMeter(workspace_id=where), short).max_tokens == 40
    holds()


@pytest.mark.django_db
def test_the_tightest_of_nested_budgets_decides() -> None:
    price_of()
    where, person = somewhere(), uuid4()
    prompt = most_prompt_tokens(REQUEST) * IN
    budget_of(where, prompt + 900 * OUT, name="All")
    budget_of(where, prompt + 300 * OUT, name="Mine", scope="user", scope_id=str(person), period="day")
    budget_of(where, 5, name="Somebody else's", scope="user", scope_id=str(uuid4()))
    attempt = reserve(DbMeter(workspace_id=where, user_id=person))
    assert (attempt.max_tokens, attempt.limited_by) == (300, "Mine")
    assert {p.reserved for p in BudgetPeriod.objects.all()} == {prompt + 300 * OUT}


@pytest.mark.django_db
def test_a_soft_budget_counts_and_lets_through() -> None:
    price_of()
    where = somewhere()
    budget_of(where, 1, hard=False)
    attempt = reserve(DbMeter(workspace_id=where))
    assert attempt.max_tokens == 1000
    settle(attempt, Usage(input=10, output=5))
    assert (period().spent, period().reserved) == (10 * IN + 5 * OUT, 0)


@pytest.mark.django_db
@pytest.mark.parametrize("scope", ["token", "conversation"])
def test_a_budget_of_one_token_or_conversation_is_only_theirs(scope: str) -> None:
    price_of()
    where, it = somewhere(), uuid4()
    budget_of(where, 1, scope=scope, scope_id=str(it))
    with pytest.raises(BudgetExceeded):
        reserve(DbMeter(workspace_id=where, **{f"{scope}_id": it}))  # type: ignore[arg-type]
    reserve(DbMeter(workspace_id=where, **{f"{scope}_id": uuid4()}))  # type: ignore[arg-type]


@pytest.mark.django_db
def test_another_workspace_has_nothing_to_do_with_it() -> None:
    price_of()
    budget_of(somewhere(), 0)
    assert reserve(DbMeter(workspace_id=somewhere())).max_tokens == 1000
    assert not Reservation.objects.exists()
