"""Slash commands: a message that begins with a known command is answered without a model.

`command_agent` is asked by the runner for every run. The command's tool call is
journaled like any other: durably RUNNING before its effect, recorded after it, and
never repeated by a takeover unless the tool is idempotent.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from django.db import transaction
from django.db.models.functions import Now

from agents import toolbox
from nexus_core.agent import AgentRequest, BaseAgent
from nexus_core.chunks import Chunk, ContentChunk, MetadataChunk, ToolCallChunk
from nexus_core.commands import arguments_for, parse_command
from nexus_core.errors import NexusError
from nexus_core.tools import Tool
from nexus_core.usage import Cost, Usage
from workspaces.access import Actor

from .database import in_database
from .engine.journal import fence
from .engine.recorder import storable, storable_json
from .markdown_text import escaped, fenced
from .models import Run, ToolCall
from .slash import command_list

__all__ = ["CommandAgent", "command_agent", "command_list"]

UNKNOWN = (
    "The server ended while this command was running, so it is not known whether it did its work. "
    "Look before you send it again."
)


def command_agent(run: Run, actor: Actor | None) -> BaseAgent | None:
    """The agent that answers this run's message if it is a slash command, else `None`.

    Raises `ToolNotFound` (with the known commands) and `ToolInputInvalid` (with the usage).
    """
    parts = run.message.parts
    if actor is None or len(parts) != 1 or parts[0].get("type") != "text":
        return None
    command = parse_command(parts[0]["text"])
    if command is None:
        return None
    tool = toolbox.all().for_command(command.name)
    return CommandAgent(run, tool, arguments_for(tool, command.text))


class CommandAgent(BaseAgent):
    """Calls one tool, shows the call and its result in words. Uses no model and costs nothing."""

    def __init__(self, run: Run, tool: Tool, input_: Mapping[str, Any]) -> None:
        self.id = self.name = run.agent_slug
        self._run, self._tool, self._input = run, tool, dict(input_)
        # The same for every owner of the run, so that a takeover finds what an earlier one did.
        self._tool_id = uuid5(NAMESPACE_URL, f"nexus:{run.pk}:command")

    async def stream(self, request: AgentRequest) -> AsyncGenerator[Chunk, None]:
        earlier = await in_database(self._begin)
        if earlier is not None and earlier.status == "COMPLETED":
            yield self._chunk(earlier.status, earlier.result, None, earlier.duration_ms)
            yield ContentChunk(in_words(self._tool, earlier.result))
            yield _complete()
            return
        if earlier is not None and not self._tool.idempotent:
            await in_database(self._finish, "UNKNOWN", None, UNKNOWN, None)
            yield self._chunk("UNKNOWN", None, UNKNOWN, None)
            yield ContentChunk(UNKNOWN)
            yield _complete()
            return
        yield self._chunk("RUNNING", None, None, None)
        began = monotonic()
        try:
            result = await self._tool.call(self._input, request.context)
        except NexusError as refusal:
            took = _ms_since(began)
            await in_database(self._finish, "FAILED", None, refusal.message, took)
            yield self._chunk("FAILED", None, refusal.message, took)
            yield ContentChunk(refusal.message)
            yield _complete()
            return
        took = _ms_since(began)
        await in_database(self._finish, "COMPLETED", result, "", took)
        yield self._chunk("COMPLETED", result, None, took)
        yield ContentChunk(in_words(self._tool, result))
        yield _complete()

    def _chunk(self, status: Any, result: Any, error: str | None, took: int | None) -> ToolCallChunk:
        return ToolCallChunk(str(self._tool_id), self._tool.name, self._input, status, result, error, took)

    # --- in a database thread ---

    def _begin(self) -> Earlier | None:
        """Records the call as RUNNING, or tells what an earlier owner of the run left of it."""
        with transaction.atomic():
            fence(self._run.pk, self._run.epoch)
            call, created = ToolCall.objects.get_or_create(
                pk=self._tool_id,
                defaults={
                    "run_id": self._run.pk,
                    "conversation_id": self._run.conversation_id,
                    "message_id": self._run.answer_id,
                    "call_id": f"command_{self._tool_id.hex[:12]}",
                    "tool_name": self._tool.name[:128],
                    "input": storable_json(self._input),
                    "status": ToolCall.Status.RUNNING,
                    "started_at": Now(),
                },
            )
            return None if created else Earlier(call.status, call.result, call.duration_ms)

    def _finish(self, status: str, result: Any, error: str, took: int | None) -> None:
        with transaction.atomic():
            fence(self._run.pk, self._run.epoch)
            ToolCall.objects.filter(pk=self._tool_id).update(
                status=status,
                result=storable_json(result),
                error=storable(error),
                duration_ms=took,
                completed_at=Now(),
            )


@dataclass(frozen=True, slots=True)
class Earlier:
    """A call that an earlier owner of the run began."""

    status: str
    result: Any
    duration_ms: int | None


def _complete() -> MetadataChunk:
    return MetadataChunk(
        "complete", {"tokenUsage": Usage().to_wire(), "cost": Cost().to_wire(), "stopReason": "end"}
    )


def _ms_since(began: float) -> int:
    return round((monotonic() - began) * 1000)


# --- results in words -------------------------------------------------------------------------------------


def in_words(tool: Tool, result: Any) -> str:
    """The result as markdown: what it brings itself, what is known of the tool, else its JSON."""
    if isinstance(result, dict) and isinstance(result.get("markdown"), str):
        return str(result["markdown"])
    if isinstance(result, str):
        return result
    if (words := WORDS.get(tool.name)) is not None and isinstance(result, dict):
        return words(result)
    return fenced(json.dumps(result, indent=2, ensure_ascii=False), "json")


def _hits(result: dict[str, Any]) -> str:
    hits = result["hits"]
    query = escaped(result["query"])
    if not hits:
        return f"Nothing was found for “{query}”."
    lines = [f"{len(hits)} message{'s' if len(hits) != 1 else ''} with “{query}”, the newest first:", ""]
    for hit in hits:
        address = f"/c/{hit['conversationId']}/#m-{hit['messageId']}"
        who = hit["author"] or hit["agentId"] or hit["role"]
        lines.append(
            f"- [{escaped(hit['conversationTitle'])}]({address}), {escaped(who)}, {hit['createdAt'][:10]}: "
            f"{escaped(hit['snippet'])}"
        )
    return "\n".join(lines)


def _task(result: dict[str, Any]) -> str:
    due = f", due on {result['dueOn']}" if result["dueOn"] else ""
    detail = f"\n\n{escaped(result['detail'])}" if result["detail"] else ""
    return f"Noted: **{escaped(result['title'])}**{due}.{detail}"


WORDS: dict[str, Callable[[dict[str, Any]], str]] = {"search_messages": _hits, "create_task": _task}
