"""A conversation, read frame by frame: the Python side of the browser's `reducer.js`.

Total: a frame of a type that is not known here changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..chunks import TERMINAL
from .types import Activity, Conversation, Here, Message
from .view import AnyChunk, RunView, read_chunk

JSON = Any
Frame = Mapping[str, JSON]
MOST_ACTIVITIES = 50


class ConversationView:
    """What is known of one conversation; `apply(frame)` is the only way in.

    Attributes:
        conversation: as the server last told it, None before the first `subscribed`.
        messages: by id, the newest part of the conversation with its branches; `superseded` ones are withdrawn.
        earlier: how many messages there are before these; `nexus.conversations.messages` reads them all.
        runs: by id; see `RunView`.
        presence: who is here, the whole list.
        activities: newest first, the last fifty.
    """

    def __init__(self, conversation_id: str | None = None) -> None:
        self.id = conversation_id
        self.conversation: Conversation | None = None
        self.messages: dict[str, Message] = {}
        self.earlier = 0
        self.runs: dict[str, RunView] = {}
        self.presence: tuple[Here, ...] = ()
        self.members: tuple[Mapping[str, JSON], ...] = ()
        self.activities: tuple[Activity, ...] = ()

    def apply(self, frame: Frame) -> None:
        """Takes in one server frame."""
        take = _TAKE.get(str(frame.get("type")))
        if take is not None:
            take(self, frame)

    @property
    def live_runs(self) -> list[RunView]:
        return [run for run in self.runs.values() if run.live]

    def after(self) -> dict[str, int]:
        """What `subscribe` is told: the last seq of each run that has not ended here."""
        return {run.id: run.last_seq for run in self.live_runs}

    def apply_chunk(self, run_id: str, seq: int, chunk: AnyChunk) -> bool:
        """One chunk of one of its runs; says whether it was the next one."""
        if run_id not in self.runs:
            self.runs[run_id] = RunView(run_id, self.id)
        return self.runs[run_id].apply(seq, chunk)

    # --- one method per frame ---

    def _elsewhere(self, conversation_id: JSON) -> bool:
        return bool(self.id and conversation_id and conversation_id != self.id)

    def _subscribed(self, frame: Frame) -> None:
        """The newest part of it. What was read of a live run stays: the missing chunks follow."""
        if frame.get("conversation"):
            self.conversation = Conversation.from_wire(frame["conversation"])
            self.id = self.id or self.conversation.id
        self.messages = {wire["id"]: Message.from_wire(wire) for wire in frame.get("messages") or ()}
        self.earlier = int((frame.get("earlier") or {}).get("count") or 0)
        for wire in frame.get("runs") or ():
            self._merge(wire)
        if frame.get("members") is not None:
            self.members = tuple(frame["members"])
        if frame.get("presence") is not None:
            self.presence = tuple(map(Here.from_wire, frame["presence"]))

    def _chunk(self, frame: Frame) -> None:
        if not self._elsewhere(frame.get("conversationId")):
            self.apply_chunk(frame["runId"], frame["seq"], read_chunk(frame["chunk"]))

    def _message(self, frame: Frame) -> None:
        wire = frame.get("message") or frame
        if not wire.get("id") or self._elsewhere(wire.get("conversationId")):
            return
        known = self.messages.get(wire["id"])
        self.messages[wire["id"]] = Message.from_wire({**(known.raw if known else {}), **wire})

    def _message_deleted(self, frame: Frame) -> None:
        self.messages.pop(str(frame.get("messageId")), None)

    def _accepted(self, frame: Frame) -> None:
        if self._elsewhere(frame.get("conversationId")):
            return
        run = self.runs.setdefault(frame["runId"], RunView(frame["runId"], frame.get("conversationId")))
        run.prompt_id = run.prompt_id or frame.get("messageId")
        run.agent_id = run.agent_id or frame.get("agentId")
        self._replace(frame.get("resumedFrom"))

    def _run(self, status: str, frame: Frame) -> None:
        told = frame.get("run") or frame
        if not (told.get("runId") or told.get("id")) or self._elsewhere(told.get("conversationId")):
            return
        before = self.runs.get(told.get("runId") or told["id"])
        was_queued = before is not None and before.status == "queued"
        run = self._merge({**told, "status": status})
        if was_queued and status == "running":
            run.status = "running"
        self._replace(told.get("resumedFrom"))

    def _finished(self, frame: Frame) -> None:
        """The doorbell after a run's end. The terminal chunk is the truth; this fills in what only the record knows."""
        told = frame.get("run") or frame
        run = self.runs.get(str(told.get("runId") or told.get("id")))
        if run is None:
            return
        self._merge(told)
        if run.live and run.last_seq == 0:
            run.status = told.get("status") or run.status

    def _merge(self, told: Mapping[str, JSON]) -> RunView:
        """A run as the server describes it, laid over what its chunks already told."""
        run_id = told.get("runId") or told["id"]
        known = self.runs.get(run_id)
        run = known or RunView(run_id)
        for name, value in _known_of(told).items():
            if value is not None and getattr(run, name) is None:
                setattr(run, name, value)
        status = told.get("status")
        stored = told.get("lastSeq")
        if known is None:
            run.estimated = bool(told.get("estimated", False))
        # The record may say "complete" while the last chunks are still on their way: then the chunks decide.
        # A run of which no chunk was ever read here has only its record.
        if status and (
            run.last_seq == 0 or (status in TERMINAL and bool(stored) and run.last_seq >= (stored or 0))
        ):
            run.status = status
        run.stored_seq = run.stored_seq if stored is None else stored
        superseded = told.get("superseded")
        run.superseded = run.superseded if superseded is None else bool(superseded)
        self.runs[run_id] = run
        return run

    def _replace(self, run_id: str | None) -> None:
        """A run that goes on where another was cut takes its place."""
        old = self.runs.get(run_id or "")
        if old is None or old.superseded:
            return
        old.superseded = True
        for message in list(self.messages.values()):
            if message.role == "assistant" and message.run_id == run_id:
                self.messages[message.id] = Message.from_wire({**message.raw, "superseded": True})

    def _conversation(self, frame: Frame) -> None:
        told = frame.get("conversation") or frame
        if self.conversation is None or told.get("id") not in (None, self.conversation.id):
            return
        self.conversation = Conversation.from_wire({**self.conversation.raw, **told})

    def _presence(self, frame: Frame) -> None:
        self.presence = tuple(map(Here.from_wire, frame.get("users") or ()))

    def _activity(self, frame: Frame) -> None:
        activity = Activity.from_wire(frame.get("activity") or {**frame})
        if all(known.id != activity.id for known in self.activities):
            self.activities = (activity, *self.activities)[:MOST_ACTIVITIES]


def _known_of(told: Mapping[str, JSON]) -> dict[str, JSON]:
    """A run's record in the words of `RunView`."""
    return {
        "conversation_id": told.get("conversationId"),
        "agent_id": told.get("agentId"),
        "prompt_id": told.get("messageId"),
        "answer_id": told.get("answerId"),
        "provider": told.get("provider"),
        "model": told.get("model"),
        "token_usage": told.get("tokenUsage"),
        "cost": told.get("cost"),
        "duration_ms": told.get("durationMs"),
        "stop_reason": told.get("stopReason"),
        "error": told.get("error"),
    }


_TAKE: Mapping[str, Callable[[ConversationView, Frame], None]] = {
    "subscribed": ConversationView._subscribed,
    "chunk": ConversationView._chunk,
    "message.created": ConversationView._message,
    "message.updated": ConversationView._message,
    "message.deleted": ConversationView._message_deleted,
    "run.accepted": ConversationView._accepted,
    "run.queued": lambda view, frame: view._run("queued", frame),
    "run.started": lambda view, frame: view._run("running", frame),
    "run.finished": ConversationView._finished,
    "conversation.updated": ConversationView._conversation,
    "presence.changed": ConversationView._presence,
    "activity.recorded": ConversationView._activity,
}
