"""A conversation as it happens: chunks, messages, runs, presence, activity.

`async with nexus.conversation(id) as live:` joins; iterating gives the events in order. `live.view` is always
current, whether or not the events are read.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractContextManager, aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .clock import within
from .errors import Unreachable
from .feed import Mailbox, Told
from .follow import read_log
from .run import RunHandle
from .state import ConversationView
from .types import Activity, Conversation, Here, Input, Message, Run
from .view import AnyChunk

if TYPE_CHECKING:
    from .client import NexusClient

JSON = Any


@dataclass(frozen=True, slots=True)
class Joined:
    """The conversation as a whole: at the start, after a lost link or lost frames, and after events were left out for a slow reader."""

    view: ConversationView


@dataclass(frozen=True, slots=True)
class ChunkAdded:
    """One chunk of one run. Per run they come in order, once each, whatever happens to the link."""

    run_id: str
    seq: int
    chunk: AnyChunk


@dataclass(frozen=True, slots=True)
class MessageAdded:
    message: Message


@dataclass(frozen=True, slots=True)
class RunChanged:
    """It was queued, started or finished; `run` is its record. Its chunks are the truth about its text."""

    run: Run


@dataclass(frozen=True, slots=True)
class ConversationChanged:
    conversation: Conversation


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """The whole list of who is here."""

    users: tuple[Here, ...]


@dataclass(frozen=True, slots=True)
class ActivityRecorded:
    activity: Activity


@dataclass(frozen=True, slots=True)
class Other:
    """Any other frame: `cursor.moved`, `usage.updated`, `tool_call.updated`, and what a newer server adds."""

    type: str
    frame: Mapping[str, JSON]


Event = (
    Joined
    | ChunkAdded
    | MessageAdded
    | RunChanged
    | ConversationChanged
    | PresenceChanged
    | ActivityRecorded
    | Other
)


class LiveConversation:
    """Made by `NexusClient.conversation`; use it as `async with`.

    A reader that is slower than the conversation costs no memory: at most `buffer` events wait. What comes
    then is left out; once the reader has caught up it gets `Joined` with the state as it is, and every chunk that it
    has not seen, from the log.
    """

    def __init__(self, client: NexusClient, conversation_id: str) -> None:
        self._client = client
        self.conversation_id = conversation_id
        self._mailbox = Mailbox(client.buffer)
        self._watching: AbstractContextManager[ConversationView] | None = None
        self._view = ConversationView(conversation_id)
        self._read: dict[str, int] = {}
        self._presence: dict[str, JSON] | None = None

    @property
    def view(self) -> ConversationView:
        return self._view

    async def __aenter__(self) -> LiveConversation:
        self._client.join(self)
        self._watching = self._client.watching(self.conversation_id, self._mailbox)
        self._view = self._watching.__enter__()
        try:
            if self._view.conversation is None:
                await within(self._client.clock, self._client.calls.patience, self._joined())
            else:
                self._mailbox.put(
                    Told({"type": "subscribed"})
                )  # somebody here watches it already: what is known is the beginning
        except BaseException as fault:
            await self.__aexit__()
            if isinstance(fault, TimeoutError):
                raise Unreachable("The conversation could not be joined in time.", cause=fault) from fault
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.leave(self)
        if self._watching is not None:
            self._watching.__exit__(None, None, None)
            self._watching = None

    async def _joined(self) -> None:
        while self._view.conversation is None:
            if self._mailbox.fault is not None:
                raise self._mailbox.fault
            self._mailbox.rung.clear()
            await self._mailbox.rung.wait()

    def __aiter__(self) -> AsyncGenerator[Event, None]:
        return self._events()

    async def _events(self) -> AsyncGenerator[Event, None]:
        """Raises what ends it for good: `Unauthorized`, `Forbidden`, `NotFound`, `ClientClosed`, `SocketBlocked`."""
        mailbox = self._mailbox
        while True:
            while (one := mailbox.take()) is not None:
                if isinstance(one, Told):
                    yield self._event(one.frame)
                    continue
                if one.seq > self._last(one.run_id) + 1:
                    async with aclosing(self._catch_up(one.run_id)) as missed:
                        async for event in missed:
                            yield event
                if one.seq == self._last(one.run_id) + 1:
                    self._read[one.run_id] = one.seq
                    yield ChunkAdded(one.run_id, one.seq, one.chunk)
            if mailbox.dropped:
                mailbox.dropped = False
                yield Joined(self._view)
                for run in list(self._view.runs.values()):
                    if run.last_seq > self._last(run.id):
                        async with aclosing(self._catch_up(run.id)) as missed:
                            async for event in missed:
                                yield event
                continue
            if mailbox.fault is not None:
                raise mailbox.fault
            mailbox.rung.clear()
            if not len(mailbox):
                await mailbox.rung.wait()

    def _last(self, run_id: str) -> int:
        return self._read.get(run_id, 0)

    async def _catch_up(self, run_id: str) -> AsyncGenerator[ChunkAdded, None]:
        """What is stored of a run and was not given yet."""
        async with aclosing(read_log(self._client.calls, run_id, self._last(run_id))) as rows:
            async for seq, chunk in rows:
                self._read[run_id] = seq
                yield ChunkAdded(run_id, seq, chunk)

    def _event(self, frame: Mapping[str, JSON]) -> Event:
        match frame["type"]:
            case "subscribed":
                return Joined(self._view)
            case "message.created" | "message.updated":
                return MessageAdded(Message.from_wire(frame.get("message") or frame))
            case "run.queued" | "run.started" | "run.finished":
                return RunChanged(Run.from_wire(frame.get("run") or frame))
            case "conversation.updated" if self._view.conversation is not None:
                return ConversationChanged(self._view.conversation)
            case "presence.changed":
                return PresenceChanged(tuple(map(Here.from_wire, frame.get("users") or ())))
            case "activity.recorded":
                return ActivityRecorded(Activity.from_wire(frame.get("activity") or frame))
        return Other(str(frame["type"]), frame)

    # --- what one can do in it ---

    async def send(self, input: Input, *, agent_id: str = "", **how: Any) -> RunHandle:
        """Asks an agent here; `how` as for `NexusClient.start`."""
        return await self._client.start(
            agent_id=agent_id, input=input, conversation_id=self.conversation_id, **how
        )

    def presence(self, activity: str = "viewing", **fields: JSON) -> bool:
        """Tells the others what you do (`viewing`, `typing`, `idle` …; `cursor`, `selection`); said again after a lost link.

        False where there is no link just now.
        """
        self._presence = {"activity": activity, **fields}
        return self.beat()

    def beat(self) -> bool:
        """Says again what `presence` said last."""
        if self._presence is None:
            return False
        return self._client.send_frame(
            {"type": "presence.update", "conversationId": self.conversation_id, **self._presence}
        )
