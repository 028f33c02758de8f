"""Generated usage for the dashboard: `python -m benchmarks.usage_traffic --attempts 4000 --days 30`, through the models.

A workspace "Fjord Labs" with people and its shipped agents, conversations with a message and a run each, tool calls,
and attempts at the prices that would hold: busy on working days, quiet at night, some failed, tried again,
fallen back, cut, lost, unpriced. The same arguments give the same traffic. Prints JSON with the workspace's slug.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus_site.settings")
django.setup()

import orjson  # noqa: E402
from django.db import transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from agents.models import Agent  # noqa: E402
from billing.models import Attempt  # noqa: E402
from billing.prices import PriceSheet, price_sheet_for  # noqa: E402
from conversations.models import Conversation, Message, Run, ToolCall  # noqa: E402
from nexus_core.usage import Usage  # noqa: E402
from workspaces.models import Role, User, Workspace  # noqa: E402
from workspaces.services import membership_set, workspace_create  # noqa: E402

SLUG = "fjord-labs"
PASSWORD = "a long pass phrase"
PEOPLE = (
    "Maya Lindqvist", "Priya Nair", "Tomás Rey", "Jonas Weber", "Aiko Tanaka", "Sofia Rossi", "Liam Murphy",
    "Zainab Bello", "Noor Haddad", "Elias Berg", "Chen Wei", "Ana Costa",
)  # fmt: skip
TOPICS = (
    "Why did sign-ups dip in week 46?", "Release 4.19 checklist", "Churn by plan, October", "Rewrite the onboarding mail",
    "Latency of the search endpoint", "Invoice import fails on commas", "Notes from the Oslo interviews",
    "Pricing page, three variants", "SQL for the cohort table", "Data retention, draft policy", "Quarter review, questions",
    "Compare two tracking plans", "Weekly metrics, how we read them", "Support macros in Spanish",
)  # fmt: skip
TOOLS = (
    ("get_token_usage", 14),
    ("search_messages", 60),
    ("fetch_news", 900),
    ("create_task", 11),
    ("get_performance_metrics", 40),
)
HOURS = (1, 1, 1, 1, 1, 2, 4, 10, 34, 60, 66, 58, 36, 52, 64, 60, 50, 34, 16, 10, 8, 6, 3, 2)
DAYS = (100, 108, 104, 98, 84, 14, 10)
BATCH = 2000


@dataclass(frozen=True, slots=True)
class Route:
    """An agent's model, with its pace: median ms to the first token, tokens a second, how much it is asked for."""

    slug: str
    provider: str
    model: str
    first_ms: float
    pace: float
    weight: int
    thinks: bool = False


ROUTES = (
    Route("claude-sonnet", "anthropic", "claude-sonnet-5-5", 640, 82, 24, thinks=True),
    Route("gpt-4-strategist", "openai", "gpt-6.1-sol", 720, 74, 21, thinks=True),
    Route("gemini-analyst", "google", "gemini-4-argon", 560, 96, 22, thinks=True),
    Route("gpt-3-5-turbo", "openai", "gpt-6-luna", 430, 118, 14),
    Route("code-helper", "ollama", "qwen2.5-coder:7b", 330, 46, 12),
    Route("my-agent", "anthropic", "claude-haiku-5-5", 380, 140, 6),
    Route("lab-agent", "openai", "fjord-tuned-7", 900, 44, 1),
)
TITLES = ROUTES[3]
FALLBACK = ROUTES[5]


class Prices:
    """Sheets by model, asked for once."""

    def __init__(self, at: datetime) -> None:
        self._at = at
        self._known: dict[tuple[str, str], PriceSheet | None] = {}

    def __call__(self, route: Route) -> PriceSheet | None:
        key = (route.provider, route.model)
        if key not in self._known:
            self._known[key] = price_sheet_for(*key, self._at)
        return self._known[key]


def moments(rng: random.Random, number: int, days: int, now: datetime) -> list[datetime]:
    """So many moments of working life up to now, in order."""
    midnights = [
        (now - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        for back in range(days)
    ]
    weights = [
        DAYS[day.weekday()] * rng.uniform(0.75, 1.25) * (1.25 - back / days / 2)
        for back, day in enumerate(midnights)
    ]
    found: list[datetime] = []
    while len(found) < number:
        chosen = rng.choices(midnights, weights, k=number - len(found))
        hours = rng.choices(range(24), HOURS, k=len(chosen))
        made = (
            day + timedelta(hours=hour, seconds=rng.uniform(0, 3600))
            for day, hour in zip(chosen, hours, strict=True)
        )
        found += [at for at in made if at <= now]
    return sorted(found)


def attempts_of_call(
    rng: random.Random, prices: Prices, route: Route, at: datetime, step: int, common: dict[str, Any]
) -> Iterator[Attempt]:
    """The requests of one model call: mostly one, else failures and then one that answers, perhaps elsewhere."""
    number = 1
    while rng.random() < (0.03 if number == 1 else 0.4) and number < 3:
        yield _attempt(
            rng,
            prices,
            route,
            at,
            step,
            number,
            common,
            failed=rng.choice(("rate_limit_exceeded", "overloaded", "stream_broken")),
        )
        at += timedelta(seconds=rng.uniform(1, 4))
        number += 1
    if number == 3 and rng.random() < 0.7:
        route = FALLBACK
    yield _attempt(rng, prices, route, at, step, number, common)


def _attempt(
    rng: random.Random,
    prices: Prices,
    route: Route,
    at: datetime,
    step: int,
    number: int,
    common: dict[str, Any],
    failed: str = "",
) -> Attempt:
    lost = not failed and rng.random() < 0.002
    usage = Usage()
    if not failed or failed == "stream_broken":
        prompt = int(rng.lognormvariate(7.6, 0.9))
        cached = int(prompt * rng.choice((0, 0, 0.4, 0.8))) if route.provider != "ollama" else 0
        usage = Usage(
            input=prompt - cached,
            cache_read=cached,
            cache_write_5m=int(prompt * 0.15) if route.provider == "anthropic" and rng.random() < 0.3 else 0,
            output=int(rng.lognormvariate(5.5, 0.8)),
            reasoning=int(rng.lognormvariate(5.2, 0.9)) if route.thinks else 0,
            estimated=lost or failed == "stream_broken",
        )
    sheet = prices(route)
    first = int(route.first_ms * rng.lognormvariate(0, 0.45) * (3 if rng.random() < 0.02 else 1))
    duration = first + int((usage.output + usage.reasoning) / route.pace * 1000 * rng.uniform(0.8, 1.3))
    cost = sheet.cost(usage) if sheet is not None else None
    tier = sheet.tier_for(usage)[0] if sheet is not None else None
    return Attempt(
        **common,
        step=step,
        number=number,
        provider=route.provider,
        model=route.model,
        answered_model="" if failed else route.model,
        status=Attempt.Status.UNKNOWN if lost else Attempt.Status.SETTLED,
        max_tokens=4096,
        prompt_chars=4 * (usage.input + usage.cache_read),
        tokens_input=usage.input,
        tokens_output=usage.output,
        tokens_cache_read=usage.cache_read,
        tokens_cache_write_5m=usage.cache_write_5m,
        tokens_reasoning=usage.reasoning,
        estimated=usage.estimated,
        price_id=tier,
        cost_input=cost.input if cost else None,
        cost_output=cost.output if cost else None,
        cost_total=(cost.input or 0) + (cost.output or 0) if cost else None,
        success=not failed and not lost,
        error_code="owner_died" if lost else failed,
        stop_reason="" if failed or lost else "stop",
        request_id="" if failed or lost else f"req_{rng.getrandbits(96):024x}",
        reserved_at=at,
        first_token_ms=None if failed else first,
        duration_ms=None if lost else (rng.randrange(40, 900) if failed else duration),
        settled_at=at + timedelta(milliseconds=duration),
    )


def people(workspace: Workspace, password: str) -> list[User]:
    found = []
    for place, name in enumerate(PEOPLE):
        user = User(username=name.split()[0].lower().replace("á", "a"), name=name, timezone="Europe/Oslo")
        if password and place < 2:
            user.set_password(password)
        else:
            user.set_unusable_password()
        user.save()
        membership_set(workspace=workspace, user=user, role=Role.OWNER if place == 0 else Role.MEMBER)
        found.append(user)
    return found


def agents(workspace: Workspace) -> dict[str, Agent]:
    """The routes' agents: the shipped ones where they have that name, else made here."""
    found = {}
    for route in ROUTES:
        found[route.slug], _ = Agent.objects.get_or_create(
            workspace=workspace,
            slug=route.slug,
            deleted_at=None,
            defaults={"name": route.slug.replace("-", " ").title().replace(" ", ""), "provider": route.provider,
                      "model": route.model, "icon": "⚗"},
        )  # fmt: skip
    return found


def fill(*, attempts: int, days: int, seed: int = 7, password: str = "", now: datetime | None = None) -> str:
    """Makes the traffic in a new workspace; its slug."""
    rng = random.Random(seed)
    now = now or timezone.now()
    workspace = workspace_create(name="Fjord Labs", slug=SLUG)
    users, known, prices = (
        people(workspace, password),
        agents(workspace),
        Prices(now - timedelta(days=days + 1)),
    )
    habits = {user.pk: rng.choices(ROUTES, [route.weight for route in ROUTES], k=3) for user in users}
    weights = [rng.uniform(0.2, 1.6) for _ in users]
    made = 0
    # A conversation has about a dozen requests: four turns, some with tools.
    for start in _batches(moments(rng, max(1, attempts // 9), days, now), 200):
        rows: dict[type, list[Any]] = {Conversation: [], Message: [], Run: [], ToolCall: [], Attempt: []}
        for at in start:
            if made + len(rows[Attempt]) >= attempts:
                break
            user = rng.choices(users, weights)[0]
            _conversation(rng, prices, workspace, user, rng.choice(habits[user.pk]), known, at, now, rows)
        made += len(rows[Attempt])
        with transaction.atomic():
            for model, some in rows.items():
                model.objects.bulk_create(some, batch_size=BATCH)  # type: ignore[attr-defined]
    return workspace.slug


def _batches(all_of_them: list[datetime], size: int) -> Iterator[list[datetime]]:
    for place in range(0, len(all_of_them), size):
        yield all_of_them[place : place + size]


def _id(rng: random.Random) -> UUID:
    return UUID(int=rng.getrandbits(128), version=4)


def _conversation(
    rng: random.Random, prices: Prices, workspace: Workspace, user: User, route: Route, known: dict[str, Agent],
    at: datetime, now: datetime, rows: dict[type, list[Any]],
) -> None:  # fmt: skip
    private = rng.random() < 0.15
    talk = Conversation(
        id=_id(rng), workspace=workspace, created_by=user, title=rng.choice(TOPICS), agent_slug=route.slug,
        visibility="private" if private else "workspace", message_count=1, created_at=at, updated_at=at, last_active_at=at,
    )  # fmt: skip
    question = Message(
        id=_id(rng), conversation=talk, number=1, role="user", content=talk.title, author=user, created_at=at
    )
    saved = rng.random()
    run = Run(
        id=_id(rng), workspace=workspace, conversation=talk, agent=known[route.slug], agent_slug=route.slug, message=question,
        requested_by=user, status="complete", epoch=2 if saved < 0.015 else 1, handovers=int(saved < 0.008), provider=route.provider,
        model=route.model, created_at=at, started_at=at, finished_at=at, packed_at=at,
    )  # fmt: skip
    rows[Conversation].append(talk)
    rows[Message].append(question)
    rows[Run].append(run)
    common = {"workspace_id": workspace.pk, "user_id": user.pk, "conversation_id": talk.pk}
    of_agent = {"agent_id": known[route.slug].pk, "agent_slug": route.slug}
    titled = {"agent_id": known[TITLES.slug].pk, "agent_slug": TITLES.slug}
    rows[Attempt] += attempts_of_call(rng, prices, TITLES, at, 0, common | titled)
    for turn in range(max(1, int(rng.expovariate(1 / 4)))):
        of_run = {"run_id": run.pk if turn == 0 else _id(rng), "epoch": 1}
        for step in range(rng.choice((1, 1, 2, 3))):
            if at > now:
                return
            rows[Attempt] += attempts_of_call(rng, prices, route, at, step, common | of_agent | of_run)
            if step:
                name, median = rng.choice(TOOLS)
                failed = rng.random() < 0.03
                rows[ToolCall].append(
                    ToolCall(
                        id=_id(rng), run=run, conversation=talk, message_id=run.answer_id, step=step, call_id=f"c{step}", tool_name=name,
                        status="FAILED" if failed else "COMPLETED", duration_ms=int(median * rng.lognormvariate(0, 0.6)), created_at=at,
                    )
                )  # fmt: skip
            at += timedelta(seconds=rng.uniform(4, 20))
        at += timedelta(seconds=rng.uniform(20, 300))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--attempts", type=int, default=4000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument(
        "--password", default="", help="Of the first two people; without one nobody can log in."
    )
    given = parser.parse_args()
    slug = fill(attempts=given.attempts, days=given.days, seed=given.seed, password=given.password)
    print(orjson.dumps({"workspace": slug, "attempts": Attempt.objects.count()}).decode())


if __name__ == "__main__":
    main()
