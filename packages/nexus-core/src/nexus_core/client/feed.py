"""One conversation over the link, for any number of watchers.

It subscribes whenever the link comes up, telling the last seq of each live run; reads every frame into
one `ConversationView`; asks for a `replay` at a gap; and hands on what was applied.

A watcher's mailbox is bounded. What does not fit is dropped, and the watcher reads it from the
stored log by HTTP once it has caught up: slow readers cost no memory and lose nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .clock import Clock
from .errors import ClientError, Forbidden, Unreachable
from .link import Link
from .state import ConversationView
from .view import AnyChunk, read_chunk

JSON = Any
REPLAY_SECONDS = 4.0
"""A replay that brought nothing is asked for again after this."""

LEFT = "left"
"""The id by which the answer to an `unsubscribe` of our own is told from a door that was closed."""


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk, as it was applied."""

    run_id: str
    seq: int
    chunk: AnyChunk


@dataclass(frozen=True, slots=True)
class Told:
    """Any other frame, after it was read into the view."""

    frame: Mapping[str, JSON]


class Mailbox:
    """What waits for one watcher, at most `room` pieces.

    Attributes:
        dropped: something did not fit since `dropped` was last set to False.
        look: the log may know more than what came here, since `look` was last set to False.
        rung: set whenever there is something new.
        fault: why nothing will come any more.
    """

    def __init__(self, room: int, only_run: str | None = None) -> None:
        self._room = room
        self.only_run = only_run
        self._waiting: deque[Piece | Told] = deque()
        self.rung = asyncio.Event()
        self.dropped = self.look = False
        self.fault: ClientError | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, one: Piece | Told) -> None:
        if self.only_run is not None and (isinstance(one, Told) or one.run_id != self.only_run):
            return
        self.rung.set()
        if self.dropped or len(self._waiting) >= self._room:
            self.dropped = True
        else:
            self._waiting.append(one)

    def take(self) -> Piece | Told | None:
        return self._waiting.popleft() if self._waiting else None

    def ring(self) -> None:
        self.look = True
        self.rung.set()

    def fail(self, fault: ClientError) -> None:
        self.fault = fault
        self.rung.set()


class Feed:
    def __init__(self, link: Link, clock: Clock, conversation_id: str) -> None:
        self._link, self._clock = link, clock
        self.id = conversation_id
        self.view = ConversationView(conversation_id)
        self.mailboxes: set[Mailbox] = set()
        self._replays: dict[str, float] = {}
        self._subscribing: asyncio.Task[None] | None = None
        self.fault: ClientError | None = None

    def attach(self, mailbox: Mailbox) -> None:
        self.mailboxes.add(mailbox)
        if self.fault is not None:
            mailbox.fail(self.fault)
        if self.view.conversation is not None:
            mailbox.ring()  # what came before is not told again
        if len(self.mailboxes) == 1 and self._link.status == "live":
            self.subscribe()

    def detach(self, mailbox: Mailbox) -> None:
        self.mailboxes.discard(mailbox)

    def subscribe(self) -> None:
        """Begins to subscribe; for a new link, for the first watcher, and after frames were lost."""
        if self._subscribing is not None:
            self._subscribing.cancel()
        self._replays.clear()
        self._subscribing = asyncio.create_task(self._subscribe(), name="nexus-subscribe")

    def end(self) -> None:
        if self._subscribing is not None:
            self._subscribing.cancel()
        if self._link.status == "live":
            self._link.send({"type": "unsubscribe", "conversationId": self.id, "id": LEFT})

    def fail(self, fault: ClientError) -> None:
        self.fault = fault
        for mailbox in self.mailboxes:
            mailbox.fail(fault)

    async def _subscribe(self) -> None:
        while self._link.status == "live":
            try:
                await self._link.ask(
                    {"type": "subscribe", "conversationId": self.id, "after": self.view.after()}
                )
                return
            except Unreachable as fault:
                if fault.code != "timeout":
                    return  # the next link subscribes again
            except ClientError as fault:
                self.fail(fault)
                return

    def receive(self, frame: Mapping[str, JSON]) -> None:
        """One frame about this conversation, or about the whole workspace."""
        if frame["type"] == "chunk":
            self._chunk(frame)
            return
        if frame["type"] == "unsubscribed":
            if frame.get("id") == LEFT:  # an earlier feed of this conversation asked for that
                return
            self.fail(Forbidden("This conversation is not open to you any more."))
            return
        self.view.apply(frame)
        for mailbox in self.mailboxes:
            mailbox.put(Told(frame))
            if frame["type"] == "subscribed":
                mailbox.ring()

    def _chunk(self, frame: Mapping[str, JSON]) -> None:
        run_id = frame["runId"]
        self.chunk(run_id, frame["seq"], read_chunk(frame["chunk"]))
        run = self.view.runs[run_id]
        if run.gap_at > run.last_seq:
            self._ask_replay(run_id, run.last_seq)

    def chunk(self, run_id: str, seq: int, chunk: AnyChunk) -> None:
        """One chunk, whoever brings it; given on if it is the next one of its run."""
        piece = Piece(run_id, seq, chunk)
        applied = self.view.apply_chunk(run_id, seq, chunk)
        run = self.view.runs[run_id]
        if applied:
            if not run.gap_at:
                self._replays.pop(run_id, None)
            for mailbox in self.mailboxes:
                mailbox.put(piece)

    def _ask_replay(self, run_id: str, after: int) -> None:
        """What is missing is asked for once, and again only if nothing came for a while."""
        now = self._clock.monotonic()
        if now - self._replays.get(run_id, -REPLAY_SECONDS) < REPLAY_SECONDS:
            return
        self._replays[run_id] = now
        self._link.send({"type": "replay", "runId": run_id, "after": after})
