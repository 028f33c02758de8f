"""Titles by a model, where `NEXUS_TITLE_AGENT` names an agent: one metered request after the first answer.

Without the setting no request is made; the title then stays what the first message gave it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from django.conf import settings
from django.db.models.functions import Now

from agents.models import Agent
from agents.services import build_agent
from billing.meter import DbMeter
from nexus_core.agent import ModelAgent
from nexus_core.defaults import MemoryJournal, default_ports
from nexus_core.errors import NexusError
from nexus_core.generate import generate_text
from nexus_core.ports import Attempt, AttemptOutcome, Meter, Settled, StepRecord, ToolRecord

from .. import events
from ..database import in_database
from ..models import Conversation, Message, Run
from ..services.titles import title_from

log = logging.getLogger(__name__)

PROMPT = "Give this conversation a title of at most six words. Answer with the title alone.\n\n{text}"
MOST_CHARACTERS = 2000
MOST_TOKENS = 40


class SettlingJournal(MemoryJournal):
    """Keeps no steps beyond this one request, but books it."""

    def __init__(self, meter: Meter) -> None:
        super().__init__()
        self._meter = meter

    async def step_completed(
        self,
        step: StepRecord,
        attempt: Attempt,
        outcome: AttemptOutcome,
        settled: Settled,
        calls: Sequence[ToolRecord],
    ) -> None:
        await self._meter.settle(attempt, outcome, settled)
        await super().step_completed(step, attempt, outcome, settled, calls)


async def title_by_agent(run: Run) -> None:
    """Retitles the run's conversation if it is new, nobody named it, and the setting names an agent."""
    if not settings.NEXUS_TITLE_AGENT:
        return
    try:
        found = await in_database(_agent_and_text, run)
        if found is None:
            return
        agent, row, text = found
        meter = DbMeter(
            workspace_id=run.workspace_id,
            user_id=run.requested_by_id,
            agent_id=row.pk,
            agent_slug=row.slug,
            conversation_id=run.conversation_id,
            crossing=in_database,
        )
        ports = replace(default_ports(), meter=meter, journal=SettlingJournal(meter))
        title = await generate_text(
            list(agent.routes), PROMPT.format(text=text), ports=ports, max_tokens=MOST_TOKENS
        )
        await in_database(_retitle, run.conversation_id, title.value.strip().strip("\"'“”"))
    except NexusError as fault:
        log.info("no title for conversation %s: %s", run.conversation_id, fault.code)


def _agent_and_text(run: Run) -> tuple[ModelAgent, Agent, str] | None:
    first = Message.objects.filter(conversation_id=run.conversation_id).order_by("number").first()
    conversation = Conversation.objects.get(pk=run.conversation_id)
    if first is None or first.pk != run.message_id or conversation.titled_by_person or conversation.temporary:
        return None
    row = Agent.objects.filter(
        workspace_id=run.workspace_id, slug=settings.NEXUS_TITLE_AGENT, is_active=True, deleted_at=None
    ).first()
    if row is None:
        log.warning(
            "NEXUS_TITLE_AGENT names %r, which this workspace does not have", settings.NEXUS_TITLE_AGENT
        )
        return None
    agent = build_agent(row, workspace_id=run.workspace_id, user_id=run.requested_by_id)
    if not isinstance(agent, ModelAgent):
        return None
    return agent, row, first.content[:MOST_CHARACTERS]


def _retitle(conversation_id: UUID, title: str) -> None:
    if not title:
        return
    changed = Conversation.objects.filter(pk=conversation_id, titled_by_person=False).update(
        title=title_from(title), updated_at=Now()
    )
    if changed:
        events.announce_conversation(Conversation.objects.get(pk=conversation_id))
