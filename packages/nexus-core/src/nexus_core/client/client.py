"""`NexusClient`: a Nexus server in a program's hands."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager
from typing import Any, Literal

from .calls import PATIENCE_SECONDS, Calls, new_id, prune
from .clock import Clock, SystemClock
from .errors import ClientClosed, ClientError, SocketBlocked
from .feed import Feed, Mailbox
from .follow import get_run
from .link import Link, Status, Verdict
from .live import LiveConversation
from .polling import Poller
from .resources import Agents, Conversations, Files, Tokens, ToolCalls, Tools
from .run import Answer, RunHandle
from .state import ConversationView
from .transport import Lost, NotSent, Transport, WebTransport
from .types import (
    Accepted,
    Activity,
    GroupBy,
    Here,
    Input,
    Me,
    Member,
    Policy,
    SearchHit,
    Usage,
    UsageRange,
    Visibility,
)
from .view import AnyChunk

log = logging.getLogger(__name__)
JSON = Any
UNSET: Any = object()


class NexusClient:
    """Use it as `async with`. One client holds one HTTP pool and, once something is watched, one socket.

    Args:
        base_url: where the server is; by default `NEXUS_URL`, else http://127.0.0.1:8000.
        token: `nxs_…`; by default `NEXUS_TOKEN`. It acts as its person in its workspace.
        watch: how runs are watched. `auto`: by socket, by server-sent events where no socket comes through or
            `websockets` is not installed (`nexus-core[client]`); or only one of the two.
        patience: seconds for which a call is tried again over restarts and lost connections.
        buffer: events that may wait for a slow reader; see `LiveConversation`.
        verify: for a certificate of your own: an `ssl.SSLContext`, or False.
        clock, transport: for tests.
    """

    def __init__(
        self,
        base_url: str | None = None,
        token: str | None = None,
        *,
        watch: Literal["auto", "socket", "sse"] = "auto",
        patience: float = PATIENCE_SECONDS,
        buffer: int = 1000,
        verify: Any = True,
        clock: Clock | None = None,
        transport: Transport | None = None,
    ) -> None:
        self.base_url = base_url or os.environ.get("NEXUS_URL") or "http://127.0.0.1:8000"
        token = token or os.environ.get("NEXUS_TOKEN") or ""
        if not token:
            raise ValueError(
                "A token is needed: token=…, or NEXUS_TOKEN. `manage.py create_token` makes one."
            )
        self.clock: Clock = clock or SystemClock()
        self.buffer = buffer
        self._watch = watch
        self._transport = transport or WebTransport(self.base_url, verify=verify)
        self.calls = Calls(self._transport, self.clock, token, patience=patience)
        self.link = Link(
            self._transport,
            self.clock,
            self.calls.headers,
            probe=self._probe,
            on_frame=self._receive,
            on_status=self._status,
        )
        self._feeds: dict[str, Feed] = {}
        self._pollers: dict[Feed, Poller] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._lives: list[LiveConversation] = []
        self._closed = False
        self.agents = Agents(self.calls)
        self.conversations = Conversations(self.calls)
        self.files = Files(self.calls)
        self.tokens = Tokens(self.calls)
        self.tool_calls = ToolCalls(self.calls)
        self.tools = Tools(self.calls)

    async def __aenter__(self) -> NexusClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Ends what still waits with `ClientClosed`; no run is stopped by it."""
        self._closed = True
        for feed in self._feeds.values():
            feed.fail(ClientClosed("The client was closed."))
        for feed in list(self._pollers):
            self._stop_polling(feed)
        if self._stopping:
            await asyncio.wait(self._stopping)
        await self.link.close()
        await self._transport.close()

    # --- asking ---

    async def start(
        self,
        *,
        agent_id: str = "",
        input: Input,
        conversation_id: str | None = None,
        client_id: str | None = None,
        policy: Policy = "reject",
        model: str | None = None,
        parent_message_id: str | None = UNSET,
        regenerate_message_id: str | None = None,
        visibility: Visibility | None = None,
    ) -> RunHandle:
        """Sends a message and starts a run. When this returns, the server has stored it.

        It is sent again over lost connections, always with the same `client_id`, so that there is one run and
        one message whatever happens. Give your own to make it hold over a restart of your program.
        """
        body = prune(
            agentId=agent_id or None,
            message=input,
            conversationId=conversation_id,
            clientId=client_id or new_id(),
            policy=policy,
            model=model,
            regenerateMessageId=regenerate_message_id,
            visibility=visibility,
        )
        if parent_message_id is not UNSET:
            body["parentMessageId"] = parent_message_id
        accepted = await self.calls.one(
            Accepted, "POST", "/api/invoke", body={**body, "background": True}, repeatable=True
        )
        return RunHandle(self, accepted)

    async def ask(self, agent_id: str, input: Input, **how: Any) -> AsyncGenerator[AnyChunk, None]:
        """The chunks of the answer as they come; `how` as for `start`. For the text alone: `answer`."""
        run = await self.start(agent_id=agent_id, input=input, **how)
        async with aclosing(run.chunks()) as chunks:
            async for chunk in chunks:
                yield chunk

    async def answer(self, agent_id: str, input: Input, **how: Any) -> Answer:
        """The whole answer. Raises `RunFailed`."""
        return await (await self.start(agent_id=agent_id, input=input, **how)).answer()

    async def run(self, run_id: str) -> RunHandle:
        """A run that somebody started earlier, here or elsewhere."""
        run = await get_run(self.calls, run_id)
        return RunHandle(
            self,
            Accepted(
                run_id=run.run_id,
                conversation_id=run.conversation_id,
                message_id=run.message_id or "",
                answer_id=run.answer_id,
                status=run.status,
            ),
        )

    def conversation(self, conversation_id: str) -> LiveConversation:
        """Everything that happens in it, live: `async with nexus.conversation(id) as live: async for event in live: …`"""
        return LiveConversation(self, conversation_id)

    # --- looking ---

    async def me(self) -> Me:
        return await self.calls.one(Me, "GET", "/api/me")

    def members(self) -> AsyncIterator[Member]:
        return self.calls.every(Member.from_wire, "/api/members")

    def search(self, words: str) -> AsyncIterator[SearchHit]:
        """Messages that you may read, newest first; the last word may be the beginning of one."""
        return self.calls.every(SearchHit.from_wire, "/api/search", q=words)

    async def presence(self) -> tuple[Here, ...]:
        """Who is here now."""
        return (await self.calls.page(Here.from_wire, "/api/presence", {})).items

    def activities(self) -> AsyncIterator[Activity]:
        """What happened, newest first."""
        return self.calls.every(Activity.from_wire, "/api/activities")

    async def usage(self, range: UsageRange = "month", *, group_by: GroupBy | None = None) -> Usage:
        """Tokens, cost, requests, errors and latencies of the workspace."""
        return await self.calls.one(Usage, "GET", "/api/usage", params={"range": range, "groupBy": group_by})

    async def usage_csv(self, range: UsageRange = "month") -> bytes:
        """A row per request to a provider."""
        got = await self.calls.send("GET", "/api/usage/export.csv", params={"range": range}, accept="*/*")
        return got.body

    # --- the link, for `RunHandle` and `LiveConversation` ---

    @property
    def uses_socket(self) -> bool:
        return self._watch != "sse" and not (self.may_fall_back and self.link.status == "blocked")

    @property
    def may_fall_back(self) -> bool:
        return self._watch == "auto"

    @contextmanager
    def watching(self, conversation_id: str, mailbox: Mailbox) -> Iterator[ConversationView]:
        """The conversation's frames go into the mailbox while this is open."""
        if self._closed:
            raise ClientClosed("The client was closed.")
        feed = self._feeds.get(conversation_id)
        if feed is None:
            feed = self._feeds[conversation_id] = Feed(self.link, self.clock, conversation_id)
        self.link.open()
        feed.attach(mailbox)
        if self.link.status == "blocked":
            self._without_socket(feed)
        try:
            yield feed.view
        finally:
            feed.detach(mailbox)
            if not feed.mailboxes and self._feeds.get(conversation_id) is feed:
                del self._feeds[conversation_id]
                self._stop_polling(feed)
                feed.end()

    def _without_socket(self, feed: Feed) -> None:
        """Who follows one run turns to its events; the conversation as a whole is looked at again and again."""
        for mailbox in feed.mailboxes:
            if mailbox.only_run is not None or not self.may_fall_back:
                mailbox.fail(_blocked())
        if self.may_fall_back and any(mailbox.only_run is None for mailbox in feed.mailboxes):
            self._pollers.setdefault(feed, Poller(self.calls, feed)).start()

    def _stop_polling(self, feed: Feed) -> None:
        if (poller := self._pollers.pop(feed, None)) is not None:
            task = asyncio.create_task(poller.stop(), name="nexus-poll-stops")
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)

    def send_frame(self, frame: Mapping[str, JSON]) -> bool:
        """A frame that needs no answer; False where there is no link just now."""
        return self.link.send(frame)

    def join(self, live: LiveConversation) -> None:
        self._lives.append(live)

    def leave(self, live: LiveConversation) -> None:
        if live in self._lives:
            self._lives.remove(live)

    def wake(self) -> None:
        """The network changed: check the connection now. Sleep is noticed without it."""
        self.link.wake()

    def _receive(self, frame: Mapping[str, JSON]) -> None:
        about = frame.get("conversationId")
        if about is None and isinstance(frame.get("conversation"), Mapping):
            about = frame["conversation"].get("id")
        if about is not None and frame["type"] not in ("activity.recorded", "usage.updated"):
            feed = self._feeds.get(str(about))
            if feed is not None:
                feed.receive(frame)
            return
        if frame["type"] == "welcome":
            return
        if frame["type"] == "resync":  # the link held, but not everything came over it
            for feed in list(self._feeds.values()):
                feed.subscribe()
            return
        if frame["type"] == "error":
            log.warning("the server refused a frame: %s", frame.get("code"))
            return
        for feed in list(self._feeds.values()):
            feed.receive(frame)

    def _status(self, status: Status) -> None:
        if status == "live":
            for feed in list(self._feeds.values()):
                self._stop_polling(feed)
                feed.subscribe()
            for live in self._lives:
                live.beat()
        elif status == "blocked":
            for feed in list(self._feeds.values()):
                self._without_socket(feed)
        elif status == "ended":
            fault = self.link.fault or ClientError("The connection ended.")
            for feed in list(self._feeds.values()):
                feed.fail(fault)

    async def _probe(self) -> Verdict:
        """Why does the door stay shut?"""
        try:
            got = await self._transport.request(
                "GET", "/api/me", headers={**self.calls.headers, "Accept": "application/json"}
            )
        except (NotSent, Lost):
            return "down"
        if got.status == 401:
            return "signed-out"
        if got.status == 403:
            return "forbidden"
        return "ok" if got.status == 200 else "down"


def _blocked() -> SocketBlocked:
    return SocketBlocked("HTTP reaches the server, but something on the way lets no socket through.")
