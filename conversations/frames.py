"""The socket's frames about conversations and runs: parse, call one service, answer.

A handler never waits for a model or a tool: it stores the wish and returns, so that
the socket hears the next frame at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal
from uuid import UUID, uuid4

from pydantic import Field

from billing.plans import run_counted
from realtime.consumer import NexusConsumer
from realtime.frames import client_frame
from realtime.presence import presence_in_conversation, waiting_agents
from realtime.rooms import conversation_room
from realtime.wire import Wire
from workspaces.access import Actor

from .access import access_conversation, access_message, access_run, as_uuid
from .database import in_database
from .events import message_frame
from .models import Run
from .request_schemas import DecisionBody
from .services.control import control_grant, control_request, control_take
from .services.deciding import tool_decide
from .services.marks import mark_read
from .services.run_cancel import run_cancel
from .services.run_continue import run_continue
from .services.run_resume import run_resume
from .services.run_start import UNSET, Started, run_start
from .services.steering import run_steer
from .threads import snapshot
from .wire import person_wire, tool_call_wire


class Subscribe(Wire):
    conversation_id: str
    after: dict[str, int] = Field(default_factory=dict)


class Unsubscribe(Wire):
    conversation_id: str


class RunStart(Wire):
    client_id: str = Field(min_length=1, max_length=128)
    agent_id: str = ""
    input: str | list[Any] = ""
    conversation_id: str | None = None
    policy: Literal["reject", "enqueue", "interrupt", "rollback"] = "reject"
    model: str = ""
    parent_message_id: str | None = None
    regenerate_message_id: str | None = None
    visibility: Literal["", "workspace", "private", "shared"] = ""
    temporary: bool = False


class Read(Wire):
    conversation_id: str
    number: int | None = Field(default=None, ge=0)


class RunId(Wire):
    run_id: str


class RunSteer(RunId):
    input: str | list[Any]
    client_id: str = Field(default="", max_length=128)
    fence: int | None = Field(default=None, ge=0)


class ControlTake(RunId):
    fence: int = Field(ge=0)


class ControlGrant(ControlTake):
    user_id: str


class Continue(Wire):
    message_id: str
    client_id: str = Field(default="", max_length=128)


class RunResume(RunId):
    client_id: str = Field(default="", max_length=128)


class ToolDecide(DecisionBody):
    tool_id: str


class Replay(Wire):
    run_id: str
    after: int = Field(default=0, ge=0)


@client_frame("subscribe", Subscribe)
async def subscribe(socket: NexusConsumer, frame: Subscribe) -> dict[str, Any]:
    """Joins first and holds what arrives, so that nothing falls between the snapshot and the stream."""
    conversation_id = as_uuid(frame.conversation_id)
    await in_database(access_conversation, socket.actor, conversation_id)
    room = conversation_room(conversation_id)
    await socket.join_and_hear(room)
    state = await in_database(snapshot, socket.actor, conversation_id)
    live = [run for run in state["runs"] if run["status"] in Run.UNFINISHED]
    # Runs the client knew as live may have ended since: it still misses their last chunks.
    known = [run["id"] for run in state["runs"] if run["id"] in frame.after and run not in live]
    for run_id in [*known, *(run["id"] for run in live)]:
        socket.follow_after_answer(run_id, max(frame.after.get(run_id, 0), 0))
    workspace_id = socket.actor.workspace_id
    waits = any(run["status"] == Run.Status.WAITING for run in live)
    waiting = await in_database(waiting_agents, workspace_id, conversation_id) if waits else ()
    return {
        "type": "subscribed",
        "conversationId": str(conversation_id),
        **state,
        "presence": presence_in_conversation(workspace_id, conversation_id, waiting=waiting),
    }


@client_frame("unsubscribe", Unsubscribe)
async def unsubscribe(socket: NexusConsumer, frame: Unsubscribe) -> dict[str, Any]:
    conversation_id = as_uuid(frame.conversation_id)
    socket.leave(conversation_room(conversation_id))
    return {"type": "unsubscribed", "conversationId": str(conversation_id)}


@client_frame("conversation.read", Read)
async def read(socket: NexusConsumer, frame: Read) -> dict[str, Any]:
    """This person has seen the messages up to that number (without one: all). Their other tabs and devices hear it."""
    mark = await in_database(
        mark_read, actor=socket.actor, conversation_id=frame.conversation_id, number=frame.number
    )
    return {"type": "conversation.read", **mark}


@client_frame("run.start", RunStart, writes=True)
async def start(socket: NexusConsumer, frame: RunStart) -> dict[str, Any]:
    """The sender watches its conversation like everyone else, from before the run can begin."""
    parent = frame.parent_message_id if "parent_message_id" in frame.model_fields_set else UNSET
    new_id = uuid4()
    if frame.conversation_id is not None:
        conversation_id = as_uuid(frame.conversation_id)
        if not socket.is_in(conversation_room(conversation_id)):
            await in_database(access_conversation, socket.actor, conversation_id)
    elif frame.regenerate_message_id is not None:
        answer = await in_database(access_message, socket.actor, frame.regenerate_message_id, write=True)
        conversation_id = answer.conversation_id
    else:
        conversation_id = new_id
        # Whoever looks whether it may be read finds nothing before the commit.
        socket.room_to_be = conversation_room(new_id)
    try:
        begun = await _begin(
            socket,
            conversation_id,
            run_start,
            agent_id=frame.agent_id,
            input_=frame.input,
            conversation_id=frame.conversation_id,
            client_id=frame.client_id,
            policy=frame.policy,
            model=frame.model,
            parent_message_id=parent,
            regenerate_message_id=frame.regenerate_message_id,
            visibility=frame.visibility,
            temporary=frame.temporary,
            new_conversation_id=new_id,
        )
    finally:
        socket.room_to_be = None
    return {"type": "run.accepted", **begun}


async def _begin(
    socket: NexusConsumer, where: UUID, begin: Callable[..., Started], *, client_id: str, **asked: Any
) -> dict[str, Any]:
    """Begins a run there; the socket is in the room before it, so that it misses nothing of it."""
    room = conversation_room(where)
    joins = not socket.is_in(room)
    if joins:
        await socket.join_and_hear(room)
    try:
        started = await in_database(_counted, begin, actor=socket.actor, client_id=client_id, **asked)
    except BaseException:
        if joins:
            socket.leave(room)
        raise
    run = started.run
    there = conversation_room(started.conversation.pk)
    if there != room:  # This clientId was seen before: the run is in another conversation.
        if joins:
            socket.leave(room)
        joins = not socket.is_in(there)
        if joins:
            await socket.join_and_hear(there)
            await in_database(run.refresh_from_db, fields=["status"])
    if started.created:
        socket.gates.expect(str(run.pk))
    elif joins:
        socket.receive(there, [message_frame(started.message)])
        socket.follow_after_answer(str(run.pk), 0)
    return {
        "clientId": client_id or None,
        "runId": str(run.pk),
        "conversationId": str(started.conversation.pk),
        "messageId": str(started.message.pk),
        "answerId": str(run.answer_id),
        "status": run.status,
    }


def _counted(begin: Callable[..., Started], *, actor: Actor, **asked: Any) -> Started:
    """Begins a run, where one more may be begun."""
    run_counted(actor)
    return begin(actor=actor, **asked)


@client_frame("run.cancel", RunId, writes=True)
async def cancel(socket: NexusConsumer, frame: RunId) -> dict[str, Any]:
    run = await in_database(run_cancel, actor=socket.actor, run_id=frame.run_id)
    return {"type": "run.cancelled", "runId": str(run.pk), "status": run.status}


@client_frame("run.resume", RunResume, writes=True)
async def resume(socket: NexusConsumer, frame: RunResume) -> dict[str, Any]:
    """With a `clientId` it may be sent again after a lost answer: the same run is accepted."""
    old = await in_database(access_run, socket.actor, frame.run_id, write=True)
    begun = await _begin(
        socket, old.conversation_id, run_resume, run_id=frame.run_id, client_id=frame.client_id
    )
    return {"type": "run.accepted", **begun, "resumedFrom": frame.run_id}


@client_frame("run.continue", Continue, writes=True)
async def go_on(socket: NexusConsumer, frame: Continue) -> dict[str, Any]:
    """A new run that goes on with an answer which its longest length cut off."""
    cut = await in_database(access_message, socket.actor, frame.message_id, write=True)
    begun = await _begin(
        socket, cut.conversation_id, run_continue, message_id=frame.message_id, client_id=frame.client_id
    )
    return {"type": "run.accepted", **begun}


@client_frame("run.steer", RunSteer, writes=True)
async def steer(socket: NexusConsumer, frame: RunSteer) -> dict[str, Any]:
    """Says something to the running agent, which hears it before its next step."""
    row = await in_database(
        run_steer,
        actor=socket.actor,
        run_id=frame.run_id,
        input_=frame.input,
        client_id=frame.client_id,
        fence_=frame.fence,
    )
    return {"type": "run.steered", "runId": str(row.run_id), "messageId": str(row.pk)}


def _control(run: Run) -> dict[str, Any]:
    return {
        "type": "run.control",
        "runId": str(run.pk),
        "conversationId": str(run.conversation_id),
        "controlledBy": person_wire(run.controlled_by),
        "controlFence": run.control_fence,
    }


@client_frame("control.request", RunId, writes=True)
async def ask_control(socket: NexusConsumer, frame: RunId) -> dict[str, Any]:
    """Asks whoever controls the run to hand it over."""
    run = await in_database(control_request, actor=socket.actor, run_id=frame.run_id)
    return {"type": "run.control_wanted", "runId": str(run.pk), "controlFence": run.control_fence}


@client_frame("control.take", ControlTake, writes=True)
async def take_control(socket: NexusConsumer, frame: ControlTake) -> dict[str, Any]:
    """Takes control of a run: who began it, admins and owners. Of all that name the same `fence` one gets it."""
    return _control(
        await in_database(control_take, actor=socket.actor, run_id=frame.run_id, fence=frame.fence)
    )


@client_frame("control.grant", ControlGrant, writes=True)
async def grant_control(socket: NexusConsumer, frame: ControlGrant) -> dict[str, Any]:
    """Hands control of a run to somebody who may write there."""
    return _control(
        await in_database(
            control_grant, actor=socket.actor, run_id=frame.run_id, user_id=frame.user_id, fence=frame.fence
        )
    )


@client_frame("tool.decide", ToolDecide, writes=True)
async def decide(socket: NexusConsumer, frame: ToolDecide) -> dict[str, Any]:
    """Yes or no to a call that waits, or the answer to a question; `ran` and `rerun` settle one of unknown outcome."""
    call = await in_database(
        tool_decide,
        actor=socket.actor,
        tool_id=frame.tool_id,
        decision=frame.decision,
        note=frame.note,
        answer=frame.answer,
        remember=frame.remember,
        client_id=frame.client_id,
    )
    return {"type": "tool.decided", "toolId": str(call.pk), "call": await in_database(tool_call_wire, call)}


@client_frame("replay", Replay)
async def replay(socket: NexusConsumer, frame: Replay) -> None:
    """The chunks after that seq, as `chunk` frames; a live run goes on from there."""
    run = await in_database(access_run, socket.actor, frame.run_id)
    socket.follow_after_answer(str(run.pk), frame.after)
