"""The runner: claim a run, build its agent, record what it streams, end it.

One runner per process, one task per run. A cancel asked for by a person sets the
context's `cancelled` event and the loop ends by itself; a cancelled *task* means
that this process stops: the run stays `running`, its lease is given up, and
another owner goes on from the last completed step.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, transaction
from django.db.models import F

from agents.services import build_agent
from billing.meter import DbMeter
from billing.plans import plan_terms
from billing.settling import attempts_settle_orphans
from nexus_core.agent import AgentRequest, BaseAgent, ModelAgent, run_agent
from nexus_core.chunks import Chunk, ContentChunk, ErrorChunk, MetadataChunk, ReasoningChunk, ToolCallChunk
from nexus_core.context import ExecutionContext
from nexus_core.defaults import default_ports
from nexus_core.errors import NexusError, RunFenced
from nexus_core.messages import Message
from nexus_core.tracing import RunSpan, run_span
from realtime.presence import agent_done, agent_working
from workspaces.access import Actor, actor_for
from workspaces.context import bind, bind_run
from workspaces.failpoints import failpoint

from .. import events, instruments
from ..commands import command_agent
from ..database import in_database
from ..fold import fold, kept, visible_text
from ..history import model_messages
from ..models import Run
from ..services import handover
from ..services.asking import run_wait
from ..services.handover import Handover
from ..services.run_claim import Claim, claim_given, run_claim
from ..services.run_finish import Ending, run_end_unstarted, run_end_waiting, run_finish, started_chunk
from ..tracing import carried
from . import pace
from .approvals import DbApprovals
from .ending import ending_of, with_all_spent
from .garbage import settle
from .inbox import DbInbox
from .journal import DbJournal, fence
from .recorder import Recorder, Ticker
from .titling import title_by_agent

log = logging.getLogger(__name__)

DATABASE_AWAY = (OperationalError, InterfaceError, InternalError)
"""No fault of the run: it is given up and goes on with its next owner, when there is a database again."""

TOO_OFTEN = (
    "This run ended with its server {n} times and was given up. What was written is kept; "
    "try again, or tell whoever runs this server."
)


@dataclass(slots=True)
class Live:
    """A run of this process."""

    run: Run
    context: ExecutionContext
    recorder: Recorder
    inbox: DbInbox


@dataclass(frozen=True, slots=True)
class Prepared:
    """Claim, agent, context and meter; made in one crossing into the database."""

    claim: Claim
    agent: BaseAgent | None
    context: ExecutionContext
    meter: DbMeter
    fault: NexusError | None
    messages: Sequence[Message] = ()
    """The history as the model is told it, the question last."""
    trace: Any = None
    """The OpenTelemetry context that the run was started under."""


class Runner:
    def __init__(self, owner: str, ticker: Ticker) -> None:
        self.owner = owner
        self._ticker = ticker
        self._live: dict[UUID, Live] = {}
        self._tasks: dict[UUID, asyncio.Task[Any]] = {}
        self._stopped_early: set[UUID] = set()
        instruments.live_runs.set_function(lambda: len(self._live))

    def live_ids(self) -> Sequence[UUID]:
        return list(self._live)

    def stop(self, run_id: UUID) -> bool:
        """Asks a run of this process to stop; False if it does not live here."""
        live = self._live.get(run_id)
        if live is not None:
            live.context.cancelled.set()
            return True
        if run_id in self._tasks:  # it is being claimed
            self._stopped_early.add(run_id)
            return True
        return handover.cancel(run_id)

    def ring(self, run_id: UUID) -> None:
        """Somebody said something to a run, which may live here."""
        live = self._live.get(run_id)
        if live is not None:
            live.inbox.ring()

    async def heartbeat_forever(self) -> None:
        """Renews the leases of silent runs; whoever lost one stops at once."""
        while True:
            await asyncio.sleep(pace.heartbeat())
            for run_id, live in list(self._live.items()):
                live.recorder.beat()
                if live.recorder.fenced and (task := self._tasks.get(run_id)) is not None:
                    task.cancel()

    async def hand_over(self) -> None:
        """This process stops: cancels the runs still going; their leases are given up."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=8)

    async def execute(self, run_id: UUID) -> None:
        """Does all of a run's work, or nothing when it is not to be had."""
        task = asyncio.current_task()
        if run_id in self._tasks or task is None:
            return
        self._tasks[run_id] = task
        bind_run(run_id)
        try:
            await self._execute(run_id)
        finally:
            self._tasks.pop(run_id, None)
            self._live.pop(run_id, None)
            self._stopped_early.discard(run_id)
            settle("first run")  # what providers are spoken to with was imported by it

    async def _execute(self, run_id: UUID) -> None:
        given = handover.take(run_id)
        prepared: Prepared | None
        if given is not None and given.prepared is not None:
            prepared = given.prepared
        else:
            prepared = await self._claimed(run_id, given)
        if prepared is None:
            return
        failpoint("after_claim")
        claim = prepared.claim
        run = claim.run
        bind(
            conversation_id=run.conversation_id,
            workspace_id=run.workspace_id,
            user_id=run.requested_by_id,
            agent_id=run.agent_slug,
        )
        context = prepared.context
        recorder = Recorder(
            self._ticker,
            run_id=run.pk,
            conversation_id=run.conversation_id,
            epoch=run.epoch,
            last_seq=claim.last_seq,
        )
        recorder.log = list(claim.log)
        inbox = DbInbox(run, recorder)
        self._live[run_id] = Live(run, context, recorder, inbox)
        early = run_id in self._stopped_early or (given is not None and given.cancelled)
        if early or run.cancel_requested_at is not None:
            context.cancelled.set()
        try:
            with run_span(
                context,
                agent_name=run.agent.name if run.agent is not None else "",
                parent=prepared.trace,
                epoch=run.epoch,
            ) as spans:
                await self._work(prepared, context, recorder, inbox, spans)
        except RunFenced:
            log.info("another owner has this run")
        except asyncio.CancelledError:
            await self._give_up_lease(run, recorder)
            raise
        except DATABASE_AWAY as fault:
            log.warning("the database is away (%s); the next owner goes on", type(fault).__name__)
            await self._give_up_lease(run, recorder, in_order=False)
        except Exception as fault:
            log.exception("the run failed in the runner")
            await self._end_by_fault(run, recorder, fault)

    async def _claimed(self, run_id: UUID, given: Handover | None) -> Prepared | None:
        """The claim, or None when the run is not to be had. A stop that comes meanwhile gives it up again:
        the thread that claims cannot be called back."""
        claiming = asyncio.ensure_future(in_database(self._prepare, run_id, given))
        try:
            return await asyncio.shield(claiming)
        except asyncio.CancelledError:
            with contextlib.suppress(Exception):
                prepared = await claiming
                if prepared is not None:
                    await in_database(_release, run_id, prepared.claim.run.epoch)
            raise
        except DATABASE_AWAY as fault:
            log.warning("no claim: the database is away (%s)", type(fault).__name__)
            return None

    def prepare(self, given: Handover) -> None:
        """In the transaction that starts the run: everything it needs, its first request reserved, so that
        nothing is left to do between the commit and the provider. Raises what the database raises."""
        try:
            prepared = given.prepared = self._prepare(given.run.pk, given)
            if prepared is None or not isinstance(prepared.agent, ModelAgent):
                return
            if first := prepared.agent.first_request(prepared.context, prepared.messages):
                route, request = first
                prepared.meter.reserve_ahead(request, route.provider.name)
        except DatabaseError:
            raise
        except Exception:  # the question is stored all the same; the runner tries again itself
            log.exception("run %s could not be prepared by its start", given.run.pk)

    def _prepare(self, run_id: UUID, given: Handover | None) -> Prepared | None:
        """In a database thread: claim, then everything the run needs."""
        claim = run_claim(run_id, self.owner) if given is None else claim_given(given)
        if claim is None:
            run_end_unstarted_if_cancelled(run_id)
            return None
        run = claim.run
        if claim.fresh:
            if given is None:
                events.announce_started(run.conversation, run)
        else:
            instruments.takeovers.inc()
            attempts_settle_orphans(run.pk, visible_text(fold(claim.log)))
        actor = claim.actor
        trace = carried(run_id)
        try:
            if actor is None and run.requested_by is not None:
                actor = actor_for(run.requested_by, run.workspace.slug)
            agent = command_agent(run, actor) or build_agent(
                run.agent,
                workspace_id=run.workspace_id,
                user_id=run.requested_by_id,
                model=run.model_override or None,
            )
        except NexusError as fault:
            return Prepared(claim, None, context_of(run, actor), meter_of(run), fault, trace=trace)
        messages = model_messages(claim.line, **agent_window(agent))
        return Prepared(claim, agent, context_of(run, actor), meter_of(run), None, messages, trace)

    async def _work(
        self,
        prepared: Prepared,
        context: ExecutionContext,
        recorder: Recorder,
        inbox: DbInbox,
        spans: RunSpan,
    ) -> None:
        claim, run = prepared.claim, prepared.claim.run
        await self._begin(claim, recorder)
        if claim.too_often:
            fault = NexusError(TOO_OFTEN.format(n=Run.MOST_EPOCHS))
            fault.code = "gave_up"
            spans.ended("failed", error_code=fault.code)
            await self._end_by_fault(run, recorder, fault)
            return
        if prepared.agent is None:
            spans.ended("failed", error_code=(prepared.fault or NexusError()).code)
            await self._end_by_fault(run, recorder, prepared.fault or NexusError())
            return
        agent = prepared.agent
        journal = DbJournal(run=run, recorder=recorder, steps=claim.steps, calls=claim.calls)
        meter = prepared.meter
        name = run.agent.name if run.agent is not None else run.agent_slug
        icon = run.agent.icon if run.agent is not None else ""
        where: dict[str, Any] = {
            "workspace_id": run.workspace_id,
            "agent_slug": run.agent_slug,
            "conversation_id": run.conversation_id,
        }
        agent_working(**where, name=name, icon=icon, activity="thinking")
        try:
            *history, question = prepared.messages
            request = AgentRequest(
                agent_id=run.agent_slug,
                input=question,
                context=context,
                history=history,
                ports=spans.traced(
                    replace(
                        default_ports(),
                        meter=meter,
                        journal=journal,
                        approvals=DbApprovals(run),
                        inbox=inbox,
                    )
                ),
            )
            terminal: MetadataChunk | None = None
            waits = False
            first_token_ms: int | None = None
            error: ErrorChunk | None = None
            writing = False
            stream = run_agent(agent, request)
            try:
                async for chunk in stream:
                    waits = isinstance(chunk, MetadataChunk) and chunk.status == "waiting"
                    if isinstance(chunk, MetadataChunk):
                        if chunk.terminal:
                            terminal = chunk
                            break
                        instruments.told(chunk)
                    if first_token_ms is None and isinstance(chunk, (ContentChunk, ReasoningChunk)):
                        first_token_ms = since(run)
                    if isinstance(chunk, ContentChunk) and not writing:
                        writing = True
                        agent_working(**where, name=name, icon=icon, activity="answering")
                    if isinstance(chunk, ErrorChunk):
                        error = chunk
                    elif isinstance(chunk, ToolCallChunk):
                        writing = False
                        activity = "running a tool" if chunk.status == "RUNNING" else "thinking"
                        agent_working(**where, name=name, icon=icon, activity=activity)
                    await recorder.add(chunk)
                    failpoint("after_chunk")
            finally:
                await aclose(stream)
                await meter.give_back()
            await recorder.flush()
            failpoint("before_finish")
            if terminal is None and waits:
                spans.ended("waiting")
                await in_database(run_wait, run)
                failpoint("after_wait")
                return
            if terminal is None:
                raise RuntimeError(f"agent {run.agent_slug} ended without a terminal chunk")
            ending = ending_of(terminal, error, agent, first_token_ms)
            if run.epoch > 1:
                ending = await in_database(with_all_spent, run, ending, journal.final)
            spans.ended(
                ending.status,
                usage=ending.usage,
                provider=ending.provider,
                model=ending.model,
                stop_reason=ending.stop_reason,
                error_code=ending.error_code,
            )
            await in_database(
                run_finish,
                run,
                log=recorder.log,
                last_seq=recorder.last_seq,
                ending=ending,
                final=journal.final,
            )
        finally:
            agent_done(**where)
        if ending.status == "complete":
            await title_by_agent(run)

    async def _begin(self, claim: Claim, recorder: Recorder) -> None:
        """The chunks that stand before the agent's: started (and what a resumed run takes over), or what a
        takeover says. Tool calls of the last completed step are shown again by the loop."""
        run = claim.run
        if claim.fresh and claim.last_seq:
            return  # its start stored `started`
        if not claim.last_seq:
            started = started_chunk(run)
            past = claim.past if run.resumed_from_id else {}
            await recorder.add(replace(started, fields={**started.fields, **past}))
            for chunk in claim.inherited:
                await recorder.add(chunk)
            return
        await recorder.add(MetadataChunk("resumed", {"epoch": run.epoch, **claim.past}))
        visible = (ContentChunk, ReasoningChunk, ToolCallChunk)
        if any(seq > claim.keep_seq and isinstance(chunk, visible) for seq, chunk in kept(claim.log)):
            await recorder.add(MetadataChunk("reset", {"keepSeq": claim.keep_seq}))
        for chunk in claim.inherited:  # a resumed run that completed no step of its own yet
            await recorder.add(chunk)

    async def _end_by_fault(self, run: Run, recorder: Recorder, fault: Exception) -> None:
        known = fault if isinstance(fault, NexusError) else NexusError(cause=fault)
        try:
            await recorder.add(ErrorChunk(known.message, known.code, known.retryable))
            await recorder.flush()
            await in_database(_settle_left_open, run, recorder.log)
            ending = Ending("failed", error_code=known.code, error_message=known.message, stop_reason="error")
            await in_database(
                run_finish,
                run,
                log=recorder.log,
                last_seq=recorder.last_seq,
                ending=await in_database(with_all_spent, run, ending, None),
                final=None,
            )
        except RunFenced:
            log.info("another owner has this run")
        except DATABASE_AWAY as fault:
            log.warning("the database is away (%s); the next owner ends the run", type(fault).__name__)
        except Exception:
            log.exception("run %s cannot be ended; the sweeper gives it to another owner", run.pk)

    async def _give_up_lease(self, run: Run, recorder: Recorder, *, in_order: bool = True) -> None:
        """Stores what is there and lets another owner begin at once."""
        try:
            async with asyncio.timeout(5):
                with contextlib.suppress(
                    *DATABASE_AWAY
                ):  # what is not stored is written again by the next owner
                    await recorder.flush()
                failpoint("before_release")
                await in_database(_release, run.pk, run.epoch, in_order=in_order)
                failpoint("after_release")
        except (RunFenced, TimeoutError, *DATABASE_AWAY):
            pass


def context_of(run: Run, actor: Actor | None) -> ExecutionContext:
    return ExecutionContext(
        run_id=str(run.pk),
        conversation_id=str(run.conversation_id),
        message_id=str(run.answer_id),
        workspace_id=str(run.workspace_id),
        user_id=str(run.requested_by_id or ""),
        agent_id=run.agent_slug,
        plan=run.workspace.plan,
        premium=plan_terms(run.workspace.plan).is_premium,
        services={"actor": actor} if actor is not None else {},
    )


def meter_of(run: Run) -> DbMeter:
    return DbMeter(
        workspace_id=run.workspace_id,
        user_id=run.requested_by_id,
        agent_id=run.agent_id,
        agent_slug=run.agent_slug,
        conversation_id=run.conversation_id,
        run_id=run.pk,
        token_id=run.token_id,
        epoch=run.epoch,
        crossing=in_database,
        guard=partial(fence, run.pk, run.epoch),
    )


def run_end_unstarted_if_cancelled(run_id: UUID) -> None:
    asked = Run.objects.filter(pk=run_id, cancel_requested_at__isnull=False)
    match asked.values_list("status", flat=True).first():
        case Run.Status.QUEUED:
            run_end_unstarted(run_id, status="cancelled")
        case Run.Status.WAITING:
            run_end_waiting(run_id)


def agent_window(agent: BaseAgent) -> dict[str, int]:
    """Window and answer size of the agent's model, in tokens, as far as it says."""
    out: dict[str, int] = {}
    if window := getattr(agent, "context_window", None):
        out["window"] = int(window)
    if answer := getattr(agent, "max_tokens", None):
        out["answer_tokens"] = int(answer)
    return out


def since(run: Run) -> int:
    from django.utils import timezone

    # `created_at` is of the database's clock, or another process': ours may be behind it.
    return max(0, int((timezone.now() - run.created_at).total_seconds() * 1000) - run.waited_ms)


async def aclose(stream: Any) -> None:
    close = getattr(stream, "aclose", None)
    if close is not None:
        await close()


def _settle_left_open(run: Run, log: list[tuple[int, Chunk]]) -> None:
    """A last step that could not be stored leaves its attempt open, which nobody would come to settle."""
    with transaction.atomic():
        fence(run.pk, run.epoch)
        attempts_settle_orphans(run.pk, visible_text(fold(log)))


def _release(run_id: UUID, epoch: int, *, in_order: bool = True) -> None:
    """Gives up the lease. An owner that stops `in_order` does not count among those that the run lost."""
    Run.objects.filter(pk=run_id, epoch=epoch, status=Run.Status.RUNNING).update(
        heartbeat_at=None, handovers=F("handovers") + int(in_order)
    )
