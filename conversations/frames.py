"""The socket's frames about conversations and runs: parse, call one service, answer.

A handler never waits for a model or a tool: it stores the wish and returns, so that
the socket hears the next frame at once.
"""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID, uuid4

from django.conf import settings
from pydantic import Field

from realtime.consumer import NexusConsumer
from realtime.frames import client_frame
from realtime.presence import presence_in_conversation
from realtime.rooms import conversation_room
from realtime.wire import Wire

from .access import access_conversation, access_run, as_uuid
from .database import in_database
from .events import message_frame
from .models import Run
from .schemas import DecisionBody
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
    socket.join(room)
    await socket.joined(room)
    state = await in_database(snapshot, socket.actor, conversation_id)
    live = [run for run in state["runs"] if run["status"] in Run.UNFINISHED]
    # Runs the client knew as live may have ended since: it still misses their last chunks.
    known = [run["id"] for run in state["runs"] if run["id"] in frame.after and run not in live]
    for run_id in [*known, *(run["id"] for run in live)]:
        socket.follow_after_answer(run_id, max(frame.after.get(run_id, 0), 0))
    return {
        "type": "subscribed",
        "conversationId": str(conversation_id),
        **state,
        "presence": presence_in_conversation(socket.actor.workspace_id, conversation_id),
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
    room = await _room_to_watch(socket, frame, new_id)
    try:
        started = await in_database(
            run_start,
            actor=socket.actor,
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
    except BaseException:
        if room is not None:
            socket.leave(room)
        raise
    finally:
        socket.room_to_be = None
    where = conversation_room(started.conversation.pk)
    if (
        room is not None and room != where
    ):  # this clientId was seen before: the run is in another conversation
        socket.leave(room)
    late = not socket.is_in(where)
    if late:
        socket.join(where)
        socket.receive(where, [message_frame(started.message)])
    if late or (room is not None and settings.NEXUS_REDIS_URL):
        # Who was in the room first misses nothing, but another process's frames may come before this
        # one hears of them.
        socket.follow_after_answer(str(started.run.pk), 0)
    return {
        "type": "run.accepted",
        "clientId": frame.client_id,
        "runId": str(started.run.pk),
        "conversationId": str(started.conversation.pk),
        "messageId": str(started.message.pk),
        "answerId": str(started.run.answer_id),
        "status": started.run.status,
    }


async def _room_to_watch(socket: NexusConsumer, frame: RunStart, new_id: UUID) -> str | None:
    """Joins the room of the conversation-to-be and names it; None where the socket is in it already."""
    if frame.conversation_id is not None:
        conversation_id = as_uuid(frame.conversation_id)
        if socket.is_in(conversation_room(conversation_id)):
            return None
        await in_database(access_conversation, socket.actor, conversation_id)
    elif frame.regenerate_message_id is not None:
        return None
    else:
        conversation_id = new_id
    room = conversation_room(conversation_id)
    if conversation_id == new_id:
        socket.room_to_be = room  # whoever looks whether it may be read finds nothing before the commit
    socket.join(room)
    return room


@client_frame("run.cancel", RunId, writes=True)
async def cancel(socket: NexusConsumer, frame: RunId) -> dict[str, Any]:
    run = await in_database(run_cancel, actor=socket.actor, run_id=frame.run_id)
    return {"type": "run.cancelled", "runId": str(run.pk), "status": run.status}


def _watch(socket: NexusConsumer, started: Started) -> None:
    """Whoever started a run sees it, also without having subscribed."""
    room = conversation_room(started.conversation.pk)
    if not socket.is_in(room):
        socket.join(room)
        socket.follow_after_answer(str(started.run.pk), 0)


@client_frame("run.resume", RunResume, writes=True)
async def resume(socket: NexusConsumer, frame: RunResume) -> dict[str, Any]:
    """With a `clientId` it may be sent again after a lost answer: the same run is accepted."""
    started = await in_database(
        run_resume, actor=socket.actor, run_id=frame.run_id, client_id=frame.client_id
    )
    _watch(socket, started)
    return {
        "type": "run.accepted",
        "runId": str(started.run.pk),
        "conversationId": str(started.conversation.pk),
        "messageId": str(started.message.pk),
        "answerId": str(started.run.answer_id),
        "resumedFrom": frame.run_id,
        "status": started.run.status,
    }


@client_frame("run.continue", Continue, writes=True)
async def go_on(socket: NexusConsumer, frame: Continue) -> dict[str, Any]:
    """A new run that goes on with an answer which its longest length cut off."""
    started = await in_database(
        run_continue, actor=socket.actor, message_id=frame.message_id, client_id=frame.client_id
    )
    _watch(socket, started)
    return {
        "type": "run.accepted",
        "clientId": frame.client_id or None,
        "runId": str(started.run.pk),
        "conversationId": str(started.conversation.pk),
        "messageId": str(started.message.pk),
        "answerId": str(started.run.answer_id),
        "status": started.run.status,
    }


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
