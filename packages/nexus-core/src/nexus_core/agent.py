"""Agents: what a person talks to [A1-A6].

`BaseAgent` is the contract: an id, a name, tools, and `stream(request)`. `ModelAgent`
is the agent that needs no code: a model with a system prompt and tools, over the
loop. Subclass `BaseAgent` for one that does something else; `run_agent` runs either
and makes sure that a run ends with exactly one terminal chunk.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from .approval import ApprovalRule, Approve, AskHere
from .chunks import Chunk, ContentChunk, ErrorChunk, MetadataChunk, MetadataStatus, ToolCallChunk, ToolStatus
from .context import ExecutionContext
from .defaults import NobodyApproves, default_ports
from .errors import UNEXPECTED_MESSAGE, NexusError, PremiumRequired, RunCancelled, RunFenced
from .fallback import Route
from .loop import LoopRun, RunSpec, run_loop
from .messages import Message, user
from .ports import Ports
from .progress import Progress
from .providers.base import ModelRequest, Reasoning
from .providers.scripted import ScriptedProvider, Turn, say
from .retry import RetryPolicy
from .tools import DEFAULT_TIMEOUT, Tool, Toolset
from .usage import Cost, Usage

JSON = Any

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class AgentRequest:
    """One message to an agent.

    Attributes:
        input: what the person said: text, or a whole user message (with images).
        history: the turns before it, oldest first.
        ports: what the loop needs from outside; by default in memory.
    """

    agent_id: str
    input: str | Message
    context: ExecutionContext = field(default_factory=ExecutionContext)
    history: Sequence[Message] = ()
    ports: Ports = field(default_factory=default_ports)

    @property
    def messages(self) -> list[Message]:
        last = user(self.input) if isinstance(self.input, str) else self.input
        return [*self.history, last]


@dataclass(frozen=True, slots=True)
class AgentResponse:
    """All chunks of a run [A3]."""

    chunks: tuple[Chunk, ...]

    @property
    def text(self) -> str:
        """All visible text."""
        return "".join(c.text for c in self.chunks if isinstance(c, ContentChunk))

    @property
    def terminal(self) -> MetadataChunk | None:
        """The last word on the run; `None` while it waits for a person's decision."""
        last = self.chunks[-1] if self.chunks else None
        return last if isinstance(last, MetadataChunk) and last.terminal else None


class BaseAgent(ABC):
    """Set `id`, `name`, `description` on the class or the instance, and implement `stream`."""

    id: str = ""
    name: str = ""
    description: str = ""
    is_premium: bool = False

    _tools: Toolset | None = None

    @abstractmethod
    def stream(self, request: AgentRequest) -> AsyncGenerator[Chunk, None]:
        """The run as chunks, the last one terminal metadata. Implement it as an `async def` with `yield`."""

    def create_tools(self) -> Iterable[Tool]:
        """The agent's tools; called once, when they are first needed [A5].

        By default all methods decorated with `@tool`.
        """
        names = dict.fromkeys(name for cls in reversed(type(self).__mro__) for name in vars(cls))
        found = (getattr(self, name) for name in names if isinstance(getattr(type(self), name, None), Tool))
        return list(found)

    def get_tools(self) -> Toolset:
        if self._tools is None:
            self._tools = Toolset(self.create_tools())
        return self._tools

    async def execute(self, request: AgentRequest) -> AgentResponse:
        """Runs to the end and gives all chunks [A3]."""
        async with aclosing(run_agent(self, request)) as chunks:
            return AgentResponse(tuple([chunk async for chunk in chunks]))

    def can_execute(self, context: ExecutionContext) -> bool:
        """Whether this agent may run there: a premium agent needs a plan that has such [A4]."""
        return not self.is_premium or context.is_premium

    def check_can_execute(self, context: ExecutionContext) -> None:
        """Raises `PremiumRequired` where `can_execute` says no."""
        if not self.can_execute(context):
            raise PremiumRequired(f"{self.name or self.id} needs a premium plan.", agent_id=self.id)

    # Chunk helpers [A2]

    @staticmethod
    def create_content_chunk(text: str, section: str | None = None) -> ContentChunk:
        return ContentChunk(text, section)

    @staticmethod
    def create_tool_call_chunk(
        tool_id: str,
        tool_name: str,
        input: JSON,
        result: JSON = None,
        *,
        status: ToolStatus = "COMPLETED",
        error: str | None = None,
        duration_ms: int | None = None,
    ) -> ToolCallChunk:
        return ToolCallChunk(tool_id, tool_name, input, status, result, error, duration_ms)

    @staticmethod
    def create_metadata_chunk(status: MetadataStatus, **fields: JSON) -> MetadataChunk:
        return MetadataChunk(status, fields)

    @staticmethod
    def create_error_chunk(error: BaseException) -> ErrorChunk:
        """The error as a person may see it: our own errors in their words, any other without details."""
        if isinstance(error, NexusError):
            return ErrorChunk(error.message, error.code, error.retryable)
        return ErrorChunk(UNEXPECTED_MESSAGE, NexusError.code)


class ModelAgent(BaseAgent):
    """A model with a prompt and tools.

    Args:
        routes: the model and its fallbacks, first first; may be left out with `mock_mode`.
        mock_mode: for tests: it asks no model and streams "This is a test response to: …" [A17].
        tools: its tools; without it, those of `create_tools`.
        max_tokens: answer tokens per model call.
        max_consecutive_tool_calls: model turns with tool calls in a row.
        tool_call_timeout: ms a tool may take that names no time of its own.
        tool_approval: names of tools that wait for a person, or names with a rule each
            (`approval.ApprovalRule`): then only the calls it says so of.
        approve: decides here and now where no host does, e.g. in a script (`approval.Approve`).
    """

    DEFAULT_MAX_TOKENS: ClassVar[int] = 2000

    _newest: AgentRequest | None = None

    def __init__(
        self,
        *,
        routes: Sequence[Route] = (),
        mock_mode: bool = False,
        id: str = "",
        name: str = "",
        description: str = "",
        is_premium: bool | None = None,
        system_prompt: str = "",
        tools: Iterable[Tool] | None = None,
        temperature: float | None = None,
        max_tokens: int = DEFAULT_MAX_TOKENS,
        max_consecutive_tool_calls: int = 5,
        tool_call_timeout: int = round(DEFAULT_TIMEOUT * 1000),
        tool_approval: Iterable[str] | Mapping[str, ApprovalRule] = (),
        approve: Approve | None = None,
        reasoning: Reasoning = "off",
        retry: RetryPolicy | None = None,
    ) -> None:
        if mock_mode:
            routes = [Route(ScriptedProvider(itertools.repeat(_mock_answer), name="mock"), "mock")]
        if not routes:
            raise ValueError("A ModelAgent needs at least one route: Route(provider, model)")
        self.id = id or self.id
        self.name = name or self.name or self.id
        self.description = description or self.description
        self.is_premium = self.is_premium if is_premium is None else is_premium
        self.routes = tuple(routes)
        self.system_prompt = system_prompt
        self.temperature = temperature
        self.max_tokens = max_tokens
        self.max_consecutive_tool_calls = max_consecutive_tool_calls
        self.tool_call_timeout = tool_call_timeout
        self.tool_approval = frozenset(tool_approval)
        self.approval_rules: Mapping[str, ApprovalRule] = (
            dict(tool_approval)
            if isinstance(tool_approval, Mapping)
            else dict.fromkeys(self.tool_approval, True)
        )
        self.approve = approve
        self.reasoning: Reasoning = reasoning
        self.retry = retry or RetryPolicy()
        if tools is not None:
            self._tools = Toolset(tools)

    def stream(self, request: AgentRequest) -> AsyncGenerator[Chunk, None]:
        if self.approve is not None and isinstance(request.ports.approvals, NobodyApproves):
            request = replace(request, ports=replace(request.ports, approvals=AskHere(self.approve)))
        self._newest = request
        return run_loop(self.spec(request.context), request.messages, request.context, request.ports)

    def first_request(
        self, context: ExecutionContext, messages: Sequence[Message]
    ) -> tuple[Route, ModelRequest] | None:
        """What a run that nothing is known of yet will ask first, and whom. None: it will not, or cannot be told."""
        if type(self).stream is not ModelAgent.stream or not self.can_execute(context):
            return None
        run = LoopRun(self.spec(context), messages, context, default_ports())
        return run.routes[0], run.request_to(run.routes[0])

    def interrupt(self) -> bool:
        """Stops the newest run of this object: it ends `cancelled`, its partial text kept [A17].

        False if there was none. Inside Nexus a person's Stop does the same, for any run.
        """
        if self._newest is None:
            return False
        self._newest.context.cancelled.set()
        return True

    async def recover(self) -> AgentResponse:
        """Goes on with the newest run after `interrupt` or a failure, from its last completed step [A17].

        Completed tool calls are not repeated: its journal remembers them. Raises `ValueError` when
        there is nothing to recover. Inside Nexus `run.resume` does the same, as a new run.
        """
        if self._newest is None:
            raise ValueError("There is no run to recover: nothing was streamed by this agent yet.")
        context = replace(self._newest.context, cancelled=asyncio.Event())
        return await self.execute(replace(self._newest, context=context))

    def spec(self, context: ExecutionContext) -> RunSpec:
        """What the loop runs for this agent there; premium tools only where the plan has them [T1]."""
        premium = context.is_premium
        return RunSpec(
            routes=self.routes,
            system=self.system_prompt,
            tools=tuple(t for t in self.get_tools() if premium or not t.requires_premium),
            max_tokens=self.max_tokens,
            temperature=self.temperature,
            reasoning=self.reasoning,
            max_tool_turns=self.max_consecutive_tool_calls,
            tool_timeout=self.tool_call_timeout / 1000,
            approval=self.approval_rules,
            retry=self.retry,
            user=context.user_id,
            cache_key=context.conversation_id,
        )


async def run_agent(agent: BaseAgent, request: AgentRequest) -> AsyncGenerator[Chunk, None]:
    """`agent.stream` with its promise kept, whoever wrote it.

    Checks `can_execute`; turns `NexusError`s into an `error` chunk and a terminal one; drops what
    comes after a terminal chunk; adds `complete` where an agent forgot it (unless it waits for a
    person). `RunFenced` and errors that are not ours pass through: they belong to the host.
    """
    last: Chunk | None = None
    reports = request.context.reports
    progress = Progress(request.ports.clock.monotonic)
    progress.begin()
    try:
        agent.check_can_execute(request.context)
        async with aclosing(agent.stream(request)) as chunks:
            async for chunk in chunks:
                if reports.waiting:
                    for report in reports.take():
                        yield progress.of_report(report)
                last = chunk
                yield chunk
                if isinstance(chunk, MetadataChunk) and chunk.terminal:
                    return
    except RunFenced:
        raise
    except RunCancelled:
        yield _terminal("cancelled", "cancelled")
        return
    except NexusError as error:
        _log.info("agent %s failed: %s", agent.id, error.code)
        yield agent.create_error_chunk(error)
        yield _terminal("failed", "error")
        return
    if not (isinstance(last, MetadataChunk) and last.status == "waiting"):
        yield _terminal("complete", "end")


def _mock_answer(request: ModelRequest) -> Turn:
    """A turn of `mock_mode`, word by word: a moment between two of them, so that they stay several chunks."""
    asked = next((message.text for message in reversed(request.messages) if message.role == "user"), "")
    words = say(f"This is a test response to: {asked}")
    return [action for word in words for action in (word, 0.001)]


def _terminal(status: MetadataStatus, stop_reason: str) -> MetadataChunk:
    """The terminal chunk of an agent that called no model through us."""
    fields: Mapping[str, JSON] = {
        "tokenUsage": Usage().to_wire(),
        "cost": Cost().to_wire(),
        "durationMs": 0,
        "stopReason": stop_reason,
    }
    return MetadataChunk(status, fields)
