"""A conversation where no socket comes through: read again and again by HTTP, its live runs by server-sent events.

What changed goes into the same `Feed` as the socket's frames, in their form. Presence and activity need a
socket; everything else is told, some seconds later. No chunk is lost or doubled: the runs' streams see to that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any

from ..chunks import TERMINAL
from .calls import Calls
from .errors import ClientError, Forbidden, NotFound, Unauthorized
from .feed import Feed
from .follow import by_events

log = logging.getLogger(__name__)
JSON = Any
POLL_SECONDS = 3.0


class Poller:
    """`start` begins, `stop` ends; both may be called twice."""

    def __init__(self, calls: Calls, feed: Feed) -> None:
        self._calls, self._feed = calls, feed
        self._task: asyncio.Task[None] | None = None
        self._streams: dict[str, asyncio.Task[None]] = {}
        self._seen: Mapping[str, JSON] | None = None
        self._new: set[str] = set()

    @property
    def running(self) -> bool:
        return self._task is not None and not self._task.done()

    def start(self) -> None:
        if not self.running:
            self._seen = None
            self._task = asyncio.create_task(self._run(), name="nexus-poll")

    async def stop(self) -> None:
        tasks = [task for task in (self._task, *self._streams.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._streams.clear()

    async def _run(self) -> None:
        clock = self._calls.clock
        while True:
            try:
                await self._look()
            except (Unauthorized, Forbidden, NotFound) as fault:  # it is not open to us any more
                self._feed.fail(fault)
                return
            except ClientError as fault:  # `calls` was patient already; the next look is as good as this one
                log.warning("a look at the conversation failed: %s", fault.code)
            await clock.sleep(POLL_SECONDS * (0.75 + 0.5 * clock.random()))

    async def _look(self) -> None:
        path = f"/api/conversations/{self._feed.id}"
        thread = await self._calls.json("GET", f"{path}/thread")
        now = {**thread, "conversation": await self._calls.json("GET", path)}
        before, self._seen = self._seen, now
        if before is None:
            self._feed.receive({"type": "subscribed", "conversationId": self._feed.id, **now})
        else:
            self._tell(before, now)
        for run in list(self._feed.view.runs.values()):
            # One that began and ended between two looks is read as well; one that had ended before is history.
            behind = run.live or (run.id in self._new and run.last_seq < run.stored_seq)
            if behind and not run.superseded and run.id not in self._streams:
                self._streams[run.id] = asyncio.create_task(
                    self._stream(run.id, run.last_seq), name="nexus-poll-run"
                )

    def _tell(self, before: Mapping[str, JSON], now: Mapping[str, JSON]) -> None:
        """What is different, as the frames that a socket would have brought."""
        known = {message["id"]: message for message in before["messages"]}
        shown = {message["id"]: message for message in now["messages"]}
        oldest = min((message["number"] for message in shown.values()), default=0)
        runs = {run["runId"]: run for run in before["runs"]}
        for message_id, message in shown.items():
            if message_id not in known:
                self._frame("message.created", message=message)
            elif message != known[message_id]:
                self._frame("message.updated", message=message)
        for message_id, message in known.items():
            if message_id not in shown and message["number"] >= oldest:
                self._frame("message.updated", message={**message, "superseded": True})
        for run in now["runs"]:
            earlier = runs.get(run["runId"])
            if earlier is None:
                self._new.add(run["runId"])
            if earlier is not None and earlier["status"] == run["status"]:
                continue
            if run["status"] == "queued":
                self._frame("run.queued", **run)
            elif earlier is None or earlier["status"] == "queued":
                self._frame("run.started", **run)
            if run["status"] in TERMINAL:
                self._frame("run.finished", **run)
        if now["conversation"] != before["conversation"]:
            self._frame("conversation.updated", conversation=now["conversation"])

    def _frame(self, type_: str, **fields: JSON) -> None:
        self._feed.receive({**fields, "type": type_, "conversationId": self._feed.id})

    async def _stream(self, run_id: str, after: int) -> None:
        try:
            async with aclosing(by_events(self._calls, run_id, after)) as chunks:
                async for seq, chunk in chunks:
                    self._feed.chunk(run_id, seq, chunk)
        except ClientError as fault:
            log.warning(
                "a run's events failed: %s", fault.code
            )  # the next look begins them again, or ends it all
        finally:
            self._streams.pop(run_id, None)
