"""A run in a program's hands: follow it, wait for its answer, stop it, go on with it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..chunks import ToolCallChunk
from .calls import new_id
from .errors import RunFailed, SocketBlocked
from .feed import Mailbox
from .follow import Numbered, by_events, by_mailbox, get_run
from .types import Accepted, Cost, Run, TokenUsage
from .view import AnyChunk, RunView

if TYPE_CHECKING:
    from .client import NexusClient

__all__ = ["Answer", "RunHandle"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a run said in the end. `status` is `complete` or `cancelled`; `text` is all visible text."""

    run_id: str
    conversation_id: str
    message_id: str | None
    status: str
    text: str
    reasoning: str = ""
    tool_calls: tuple[ToolCallChunk, ...] = ()
    token_usage: TokenUsage = field(default_factory=TokenUsage)
    cost: Cost = field(default_factory=Cost)
    estimated: bool = False
    duration_ms: int | None = None
    stop_reason: str | None = None
    confidence: float | None = None


class RunHandle:
    """One run. `view` is as far as this handle has read it: text, reasoning and tool calls after every reset.

    Attributes:
        run_id, conversation_id: of the run; `message_id` is the question, `answer_id` the answer's message.
    """

    def __init__(self, client: NexusClient, accepted: Accepted) -> None:
        self._client = client
        self.run_id = accepted.run_id
        self.conversation_id = accepted.conversation_id
        self.message_id: str | None = accepted.message_id
        self.answer_id = accepted.answer_id
        self.view = RunView(self.run_id, self.conversation_id)

    def __repr__(self) -> str:
        return f"<run {self.run_id} {self.view.status} seq {self.view.last_seq}>"

    async def follow(self, after: int = 0) -> AsyncGenerator[Numbered, None]:
        """`(seq, chunk)` of every chunk with a greater seq than `after`, each once, until the terminal one.

        It outlives lost connections, restarts of the server and sleep, for as long as you iterate; to give up put
        `asyncio.timeout` around it. Leaving it stops nothing: the run belongs to the server. A `reset` chunk
        withdraws what came between its `keepSeq` and itself; `view` already knows.

        Raises what ends the connection for good: `Unauthorized`, `Forbidden`, `NotFound`, `ClientClosed`.
        """
        async with aclosing(self._followed(after)) as chunks:
            async for seq, chunk in chunks:
                self.view.apply(seq, chunk)
                yield seq, chunk

    async def _followed(self, after: int) -> AsyncGenerator[Numbered, None]:
        client = self._client
        if client.uses_socket:
            mailbox = Mailbox(client.buffer, only_run=self.run_id)
            try:
                with client.watching(self.conversation_id, mailbox):
                    async with aclosing(by_mailbox(client.calls, mailbox, self.run_id, after)) as chunks:
                        async for seq, chunk in chunks:
                            after = seq
                            yield seq, chunk
                return
            except SocketBlocked:
                if not client.may_fall_back:
                    raise
        async with aclosing(by_events(client.calls, self.run_id, after)) as chunks:
            async for seq, chunk in chunks:
                yield seq, chunk

    async def chunks(self) -> AsyncGenerator[AnyChunk, None]:
        """The chunks from where this handle has read to, without their seqs."""
        async with aclosing(self.follow(self.view.last_seq)) as numbered:
            async for _, chunk in numbered:
                yield chunk

    async def answer(self) -> Answer:
        """Waits for the end. Raises `RunFailed`, whose `answer` has the partial text; a stopped run is no failure."""
        async with aclosing(self.follow(self.view.last_seq)) as numbered:
            async for _ in numbered:
                pass
        view = self.view
        if view.live:  # asked from behind the end by somebody else's view: the log has everything
            self.view = view = RunView(self.run_id, self.conversation_id)
            return await self.answer()
        answer = Answer(
            run_id=self.run_id,
            conversation_id=self.conversation_id,
            message_id=view.answer_id,
            status=view.status,
            text=view.text,
            reasoning=view.reasoning,
            tool_calls=view.tool_calls,
            token_usage=TokenUsage.from_wire(view.token_usage or {}),
            cost=Cost.from_wire(view.cost or {}),
            estimated=view.estimated,
            duration_ms=view.duration_ms,
            stop_reason=view.stop_reason,
            confidence=view.confidence,
        )
        if view.status == "failed":
            why = view.error or {}
            fault = RunFailed(
                str(why.get("message") or "The run failed."),
                code=str(why.get("code") or RunFailed.code),
                retryable=bool(why.get("retryable")),
            )
            fault.answer = answer
            raise fault
        return answer

    async def status(self) -> Run:
        """How it stands now, with the requests to providers that it made."""
        return await get_run(self._client.calls, self.run_id)

    async def cancel(self) -> str:
        """Asks it to stop; gives its status. What was written is kept; the terminal chunk says `cancelled`."""
        wire = await self._client.calls.json("POST", f"/api/runs/{self.run_id}/cancel", repeatable=True)
        return str(wire["status"])

    async def continue_(self, *, client_id: str | None = None) -> RunHandle:
        """A new run that goes on where this one's answer was cut by its length. Raises `Conflict` for any other."""
        answer_id = self.view.answer_id or self.answer_id
        accepted = await self._client.calls.one(
            Accepted,
            "POST",
            f"/api/messages/{answer_id}/continue",
            idempotency_key=client_id or new_id(),
            repeatable=True,
        )
        return RunHandle(self._client, accepted)

    async def resume(self, *, client_id: str | None = None) -> RunHandle:
        """A new run for the same message, from the last completed step of this one, which failed or was stopped."""
        accepted = await self._client.calls.one(
            Accepted,
            "POST",
            f"/api/runs/{self.run_id}/resume",
            body={"clientId": client_id or new_id()},
            repeatable=True,
        )
        return RunHandle(self._client, accepted)
