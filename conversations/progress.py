"""How far runs and conversations have come, now and in their history [G1-G3]; read from the log alone.

A conversation is the documents' project: its agents are the newest run of each. Unknown
is null. `overall` is the mean of the agents; one that works and says nothing counts as 0
in it, so that it never promises too much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
from django.db.models import Count, F, Max, OuterRef, Q, Subquery, Sum
from django.utils import timezone

from nexus_core.usage import Cost, pico_to_usd
from workspaces.access import Actor

from .access import access_conversation, access_run
from .log import Piece, metadata_of
from .models import Conversation, Run, ToolCall
from .wire import instant, run_usage

MOST_POINTS = 1000
"""Of a history: the newest."""
MEASURES = ("percentage", "currentStep", "totalSteps", "estimatedTimeRemaining", "tokensUsed", "cost")
PRESSING = ("waiting", "running", "queued")

Point = dict[str, Any]


def run_progress(actor: Actor, run_id: str, *, history: bool) -> dict[str, Any]:
    """A run's progress as the wire has it. Raises NotFound."""
    run = access_run(actor, run_id)
    points = points_of(metadata_of([run.pk])[run.pk])
    out = progress_wire(run, points)
    if run.status in Run.LIVE:
        out["tools"] = _tools(run, points)
    if history:
        out["history"] = points[-MOST_POINTS:]
    return out


def conversation_progress(actor: Actor, conversation_id: str, *, history: bool) -> dict[str, Any]:
    """The progress of all agents of a conversation, side by side. Raises NotFound."""
    conversation = access_conversation(actor, conversation_id)
    runs = newest_runs(conversation)
    logs = metadata_of(run.pk for run in runs)
    points = {run: points_of(logs[run.pk]) for run in runs}
    agents = [progress_wire(run, points[run]) for run in runs]
    out = {
        "conversationId": str(conversation.pk),
        "status": next((s for s in PRESSING if any(a["status"] == s for a in agents)), "idle"),
        "overall": overall({a["agentId"]: a["percentage"] for a in agents}),
        "agents": agents,
        "estimatedCompletion": estimated_completion(agents, timezone.now()),
        "lastUpdated": max((a["lastUpdated"] for a in agents), default=None),
        **_spent(conversation, agents),
    }
    if history:
        out["history"] = conversation_history(points)
    return out


def newest_runs(conversation: Conversation) -> list[Run]:
    """The newest run of each agent, by the agents' names."""
    runs = Run.objects.filter(conversation=conversation)
    newest = runs.filter(agent_slug=OuterRef("agent_slug")).order_by("-created_at", "-pk")
    return list(runs.filter(pk=Subquery(newest.values("pk")[:1])).order_by("agent_slug"))


def points_of(metadata: Sequence[Piece]) -> list[Point]:
    """A run's time series: where it began, each `progress` chunk, and its end (100 only when it is complete)."""
    points: list[Point] = []
    last: dict[str, Any] = dict.fromkeys(MEASURES)
    for piece in metadata:
        chunk = orjson.loads(piece.wire)
        data = chunk["data"]
        status = data["status"]
        of_tool = status == "progress" and data.get("toolId")
        if status == "started":
            measured = last = last | {"currentStep": 0, "tokensUsed": 0, "cost": "0"}
        elif status == "progress":
            measured = {name: data.get(name) for name in MEASURES}
            if not of_tool:
                last = measured
        elif status in ("complete", "cancelled", "failed"):
            measured = last = _ended(last, data)
        else:
            continue
        points.append(
            {
                "seq": piece.seq,
                "at": _instant(chunk["timestamp"]),
                "status": status,
                **measured,
                **({"toolId": data["toolId"]} if of_tool else {}),
                **({"message": data["message"]} if data.get("message") else {}),
            }
        )
    return points


def _ended(last: Mapping[str, Any], data: Mapping[str, Any]) -> dict[str, Any]:
    complete = data["status"] == "complete"
    return {
        **last,
        "percentage": 100.0 if complete else last["percentage"],
        "estimatedTimeRemaining": 0.0 if complete else None,
        "tokensUsed": (data.get("tokenUsage") or {}).get("total", last["tokensUsed"]),
        "cost": (data.get("cost") or {}).get("total"),
    }


def progress_wire(run: Run, points: Sequence[Point]) -> dict[str, Any]:
    """The documents' progress record [G1] of a run."""
    own = [point for point in points if "toolId" not in point]
    last = own[-1] if own else None
    measured = {name: last[name] if last else None for name in MEASURES}
    if run.finished:
        measured |= {
            "tokensUsed": run_usage(run).total,
            "cost": pico_to_usd(Cost(run.cost_input, run.cost_output).total),
        }
    elif last is None:
        measured |= {"currentStep": 0, "tokensUsed": 0, "cost": "0"}
    if run.status == Run.Status.QUEUED:
        measured["percentage"] = 0.0
    return {
        "runId": str(run.pk),
        "conversationId": str(run.conversation_id),
        "agentId": run.agent_slug,
        "status": run.status,
        **measured,
        "message": (last or {}).get("message"),
        "startedAt": instant(run.started_at),
        "lastUpdated": points[-1]["at"] if points else instant(run.created_at),
    }


def _tools(run: Run, points: Sequence[Point]) -> list[dict[str, Any]]:
    """The calls that run now, with what they told last."""
    told = {point["toolId"]: point for point in points if "toolId" in point}
    calls = ToolCall.objects.filter(run=run, status=ToolCall.Status.RUNNING)
    return [
        {
            "toolId": str(call.pk),
            "toolName": call.tool_name,
            **{name: told.get(str(call.pk), {}).get(name) for name in MEASURES[:4]},
            "message": told.get(str(call.pk), {}).get("message"),
        }
        for call in calls
    ]


def overall(percentages: Mapping[Any, float | None]) -> float | None:
    """The mean; null when nobody knows anything."""
    known = [value for value in percentages.values() if value is not None]
    return round(sum(known) / len(percentages), 1) if known else None


def estimated_completion(agents: Sequence[Mapping[str, Any]], now: datetime) -> str | None:
    """When the last of those who work will be done; null when nobody works or one of them does not know."""
    left = [a["estimatedTimeRemaining"] for a in agents if a["status"] in Run.UNFINISHED]
    if not left or None in left:
        return None
    try:
        return instant(now + timedelta(seconds=max(left)))
    except OverflowError:  # a tool that says it takes for ever
        return None


def conversation_history(points: Mapping[Run, Sequence[Point]]) -> list[Point]:
    """The agents' points in the order of time, each with what `overall` was then."""
    merged = sorted(
        ((point, run) for run, own in points.items() for point in own if "toolId" not in point),
        key=lambda pair: (pair[0]["at"], pair[0]["seq"]),
    )
    stood: dict[str, float | None] = {}
    out = []
    for point, run in merged:
        stood[run.agent_slug] = point["percentage"]
        out.append({**point, "runId": str(run.pk), "agentId": run.agent_slug, "overall": overall(stood)})
    return out[-MOST_POINTS:]


def _spent(conversation: Conversation, agents: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Tokens and cost of all runs of the conversation: ended ones by their rows, the others as far as they told."""
    tokens = sum(
        (
            F(name)
            for name in ("tokens_output", "tokens_cache_read", "tokens_cache_write", "tokens_reasoning")
        ),
        start=F("tokens_input"),
    )
    ended = (
        Run.objects.filter(conversation=conversation)
        .exclude(status__in=Run.UNFINISHED)
        .aggregate(
            tokens=Sum(tokens),
            cost=Sum(F("cost_input") + F("cost_output")),
            unpriced=Count("pk", filter=Q(cost_input=None) | Q(cost_output=None)),
            last=Max("finished_at"),
        )
    )
    live = [a for a in agents if a["status"] in Run.UNFINISHED]
    costs = [a["cost"] for a in live]
    unpriced = ended["unpriced"] or None in costs
    cost = Decimal(int(ended["cost"] or 0)).scaleb(-12) + sum(map(Decimal, costs)) if not unpriced else None
    return {
        "tokensUsed": (ended["tokens"] or 0) + sum(a["tokensUsed"] or 0 for a in live),
        "cost": None if cost is None else pico_to_usd(int(cost.scaleb(12))),
    }


def _instant(timestamp: int) -> str:
    return instant(datetime.fromtimestamp(timestamp / 1000, UTC)) or ""
