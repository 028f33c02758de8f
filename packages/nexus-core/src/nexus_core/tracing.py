"""OpenTelemetry spans of a run by the GenAI conventions; off, and nothing imported, until `enable`.

    invoke_agent {agent}            one per run and owner
      step 0
        chat {model}                one per provider request
        execute_tool {name}         one per tool call

A host calls `enable(tracer)`, begins a run by `run_span`, and gives the loop the ports that
`RunSpan.traced` makes of its own: the meter and the journal are told of every boundary already, so
that the loop itself knows nothing of spans. No text of a person or a model is recorded unless
`enable(content=True)`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

from .context import ExecutionContext
from .messages import Message, part_to_json
from .ports import Attempt, AttemptOutcome, Journal, Meter, Ports, Settled, StepRecord, ToolRecord
from .providers.base import ModelRequest
from .usage import Usage

PROVIDERS = {
    "azure": "azure.ai.openai",
    "google": "gcp.gemini",
    "mistral": "mistral_ai",
    "xai": "x_ai",
}
"""Ours that the conventions name otherwise."""

_tracer: Any = None
_content = False


def enable(tracer: Any, *, content: bool = False) -> None:
    """`tracer` is an `opentelemetry.trace.Tracer`; `content`: prompts, answers and tool arguments too."""
    global _tracer, _content
    _tracer, _content = tracer, content


def disable() -> None:
    global _tracer, _content
    _tracer, _content = None, False


def enabled() -> bool:
    return _tracer is not None


@contextmanager
def span(name: str, *, parent: Any = None, kind: str = "internal", **attributes: Any) -> Iterator[Any]:
    """A span that is current within the block; `None`, and nothing done, where tracing is off.

    `parent` is an OpenTelemetry context (`context_of`); by default the current one. An exception marks it.
    """
    if _tracer is None:
        yield None
        return
    with _tracer.start_as_current_span(
        name,
        context=parent,
        kind=_kind(kind),
        attributes=_told(attributes),
        # Both would keep an exception's words, which may quote what somebody wrote.
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except Exception as fault:
            _fail(made, type(fault).__name__)
            raise


def carrier() -> str:
    """The current span as a `traceparent` header; empty where there is none."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    found: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(found)
    return found.get("traceparent", "")


def context_of(traceparent: str) -> Any:
    """The context of a `traceparent` header, `None` where it is empty or tracing is off."""
    if _tracer is None or not traceparent:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})


@contextmanager
def run_span(
    context: ExecutionContext, *, agent_name: str = "", parent: Any = None, epoch: int = 1
) -> Iterator[RunSpan]:
    """The span of one run by one owner. Where tracing is off the ports pass through it unchanged."""
    if _tracer is None:
        yield _OFF
        return
    name = agent_name or context.agent_id
    made = RunSpan(context)
    attributes: dict[str, Any] = {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.id": context.agent_id,
        "gen_ai.agent.name": name,
        "gen_ai.conversation.id": context.conversation_id,
        "nexus.run.id": context.run_id,
        "nexus.run.epoch": epoch,
        "nexus.workspace.id": context.workspace_id,
    }
    with span(f"invoke_agent {name}".strip(), parent=parent, **attributes) as root:
        made.root = root
        try:
            yield made
        finally:
            made.close()


class RunSpan:
    """The spans of one run. `traced` gives the ports that make them; `ended` says how it ended."""

    def __init__(self, context: ExecutionContext | None = None) -> None:
        self.root: Any = None
        self._conversation = context.conversation_id if context is not None else ""
        self._step: Any = None
        self._step_index = -1
        self._chats: dict[UUID, Any] = {}
        self._tools: dict[str, Any] = {}

    def traced(self, ports: Ports) -> Ports:
        if self.root is None:
            return ports
        return replace(
            ports, meter=TracedMeter(ports.meter, self), journal=TracedJournal(ports.journal, self)
        )

    def ended(
        self,
        status: str,
        *,
        usage: Usage | None = None,
        provider: str = "",
        model: str = "",
        stop_reason: str = "",
        error_code: str = "",
    ) -> None:
        if self.root is None:
            return
        self.root.set_attributes(
            _told(
                {
                    "nexus.run.status": status,
                    "gen_ai.provider.name": PROVIDERS.get(provider, provider),
                    "gen_ai.response.model": model,
                    "gen_ai.response.finish_reasons": [stop_reason] if stop_reason else None,
                    **(_usage(usage) if usage is not None else {}),
                }
            )
        )
        if status == "failed":
            _fail(self.root, error_code or "unexpected_error")

    def close(self) -> None:
        """Ends what is still open: this owner goes, whatever comes of the run."""
        for left in (*self._chats.values(), *self._tools.values()):
            _fail(left, "interrupted")
            left.end()
        self._chats.clear()
        self._tools.clear()
        self._end_step()

    # --- what the ports tell ---

    def request_began(
        self, attempt: Attempt, request: ModelRequest, provider: str, step: int, number: int
    ) -> None:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": PROVIDERS.get(provider, provider),
            "gen_ai.request.model": request.model,
            "gen_ai.request.max_tokens": attempt.max_tokens,
            "gen_ai.request.temperature": request.temperature,
            "gen_ai.request.stream": True,
            "gen_ai.conversation.id": self._conversation,
            "nexus.attempt.id": str(attempt.id),
            "nexus.attempt.number": number,
        }
        if _content:
            attributes["gen_ai.input.messages"] = _json([_message(one) for one in request.messages])
        self._chats[attempt.id] = self._start(
            f"chat {request.model}", self._step_of(step), "client", attributes
        )

    def request_ended(self, attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
        chat = self._chats.pop(attempt.id, None)
        if chat is None:
            return
        first = outcome.time_to_first_token_ms
        chat.set_attributes(
            _told(
                {
                    "gen_ai.response.model": outcome.model,
                    "gen_ai.response.finish_reasons": [outcome.stop_reason] if outcome.stop_reason else None,
                    "gen_ai.response.time_to_first_chunk": None if first is None else first / 1000,
                    "nexus.provider.request_id": outcome.request_id,
                    "nexus.attempt.status": outcome.status,
                    **_usage(settled.usage),
                }
            )
        )
        if _content:
            said = {
                "role": "assistant",
                "parts": [{"type": "text", "content": outcome.streamed_text}],
                "finish_reason": outcome.stop_reason or outcome.status,
            }
            chat.set_attribute("gen_ai.output.messages", _json([said]))
        if outcome.status in ("failed", "cut"):
            _fail(chat, outcome.error_code or outcome.status)
        chat.end()

    def tool_began(self, call: ToolRecord) -> None:
        """Current for the rest of the task that runs the tool alone, so that its own requests hang under it."""
        from opentelemetry import context, trace

        made = self._tools[call.tool_id] = self._tool(call)
        context.attach(trace.set_span_in_context(made))

    def tool_ended(self, call: ToolRecord) -> None:
        made = self._tools.pop(call.tool_id, None) or self._tool(call)  # or refused before it began
        if _content and call.result is not None:
            made.set_attribute("gen_ai.tool.call.result", _json(call.result))
        made.set_attribute("nexus.tool.status", call.status)
        if call.status != "COMPLETED":
            _fail(made, call.status.lower())
        made.end()

    def _tool(self, call: ToolRecord) -> Any:
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.type": "function",
            "gen_ai.tool.call.id": call.call_id,
            "nexus.tool.id": call.tool_id,
        }
        if _content:
            attributes["gen_ai.tool.call.arguments"] = _json(dict(call.input))
        return self._start(f"execute_tool {call.name}", self._step_of(call.step), "internal", attributes)

    def _step_of(self, index: int) -> Any:
        if index != self._step_index:
            self._end_step()
            self._step = self._start(f"step {index}", self.root, "internal", {"nexus.step.index": index})
            self._step_index = index
        return self._step

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.end()
            self._step, self._step_index = None, -1

    @staticmethod
    def _start(name: str, parent: Any, kind: str, attributes: Mapping[str, Any]) -> Any:
        from opentelemetry import trace

        return _tracer.start_span(
            name,
            context=trace.set_span_in_context(parent),
            kind=_kind(kind),
            attributes=_told(attributes),
        )


_OFF = RunSpan()


class TracedMeter:
    """A meter that opens a span at `reserve` and ends it at `price`."""

    def __init__(self, meter: Meter, run: RunSpan) -> None:
        self._meter, self._run = meter, run

    async def reserve(self, request: ModelRequest, *, provider: str, step: int, attempt: int) -> Attempt:
        reserved = await self._meter.reserve(request, provider=provider, step=step, attempt=attempt)
        self._run.request_began(reserved, request, provider, step, attempt)
        return reserved

    def price(self, attempt: Attempt, outcome: AttemptOutcome) -> Settled:
        settled = self._meter.price(attempt, outcome)
        self._run.request_ended(attempt, outcome, settled)
        return settled

    async def settle(self, attempt: Attempt, outcome: AttemptOutcome, settled: Settled) -> None:
        await self._meter.settle(attempt, outcome, settled)


class TracedJournal:
    """A journal whose tool calls are spans."""

    def __init__(self, journal: Journal, run: RunSpan) -> None:
        self._journal, self._run = journal, run

    async def load(self) -> tuple[Sequence[StepRecord], Sequence[ToolRecord]]:
        return await self._journal.load()

    async def step_completed(
        self,
        step: StepRecord,
        attempt: Attempt,
        outcome: AttemptOutcome,
        settled: Settled,
        calls: Sequence[ToolRecord],
    ) -> None:
        await self._journal.step_completed(step, attempt, outcome, settled, calls)

    async def tool_started(self, call: ToolRecord) -> None:
        await self._journal.tool_started(call)
        self._run.tool_began(call)

    async def tool_finished(self, call: ToolRecord) -> None:
        self._run.tool_ended(call)
        await self._journal.tool_finished(call)


def _usage(usage: Usage) -> dict[str, Any]:
    """The conventions' input includes the cache, their output the reasoning; ours are disjoint."""
    return {
        "gen_ai.usage.input_tokens": usage.input + usage.cache_read + usage.cache_write,
        "gen_ai.usage.output_tokens": usage.output + usage.reasoning,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read or None,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write or None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning or None,
    }


def _told(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if value is not None and value != ""}


def _kind(name: str) -> Any:
    from opentelemetry.trace import SpanKind

    return SpanKind[name.upper()]


def _fail(made: Any, code: str) -> None:
    from opentelemetry.trace import StatusCode

    made.set_attribute("error.type", code)
    made.set_status(StatusCode.ERROR)


def _message(message: Message) -> dict[str, Any]:
    return {"role": message.role, "parts": [part_to_json(part) for part in message.parts]}


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)
