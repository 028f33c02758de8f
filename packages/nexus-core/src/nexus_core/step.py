"""One step of a run: one model call, over as many provider requests as it takes.

Retry, fallback and metering happen here, once, for all providers. A request is
reserved before its bytes leave; if it fails or is cut it is settled here; a
completed one is settled by whoever records the step. As soon as something visible
has been streamed, a failure is final: two answers are never stitched together.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Literal

from .chunks import Chunk, ContentChunk, MetadataChunk, ReasoningChunk
from .context import ExecutionContext
from .errors import LLMError, RunCancelled, StreamBroken
from .estimate import count_tokens, ready
from .fallback import Route, error_to_tell, falls_back
from .messages import Part, ReasoningPart, TextPart, ToolCallPart
from .ports import Attempt, AttemptOutcome, Ports, Settled
from .providers.base import (
    ModelEvent,
    ModelRequest,
    ReasoningDelta,
    Stop,
    TextDelta,
    ToolInputDelta,
    UsageUpdate,
)
from .pump import EventPump
from .retry import RetryPolicy
from .thinking import Piece, ThinkingSplitter
from .usage import Usage
from .waiting import unless_cancelled

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Completed:
    """A provider request that ended with a stop reason, not yet settled."""

    stop: Stop
    route: Route
    attempt: Attempt
    outcome: AttemptOutcome
    settled: Settled


class ModelStep:
    """`run()` streams the visible chunks of one model call; afterwards `completed` holds the answer.

    Args:
        index: 0, 1, 2 … within the run.
        routes: the model to ask first and its fallbacks.
        build: the request for a route.

    Attributes:
        spent: what every failed or cut request of this step cost, in order.
        text: the visible text that was streamed.
    """

    def __init__(
        self,
        *,
        index: int,
        routes: Sequence[Route],
        build: Callable[[Route], ModelRequest],
        context: ExecutionContext,
        ports: Ports,
        retry: RetryPolicy,
    ) -> None:
        self.completed: Completed | None = None
        self.spent: list[Settled] = []
        self._text: list[str] = []
        self._index = index
        self._routes = routes
        self._build = build
        self._context = context
        self._ports = ports
        self._retry = retry
        self._requests = 0

    @property
    def text(self) -> str:
        return "".join(self._text)

    async def run(self) -> AsyncGenerator[Chunk, None]:
        """Raises `LLMError` when all routes failed or after a visible chunk, `RunCancelled`, `BudgetExceeded`."""
        errors: list[LLMError] = []
        for number, route in enumerate(self._routes):
            if number:
                yield MetadataChunk("fallback", {"provider": route.provider.name, "model": route.model})
            failures = 0
            while True:
                request = _Request(self, route)
                async with aclosing(request.stream()) as chunks:
                    async for chunk in chunks:
                        yield chunk
                error = request.error
                if error is None:
                    return
                if request.visible:
                    _tell(error, failures + 1)
                    raise error
                failures += 1
                _tell(error, failures)
                if not self._retry.again(error, failures):
                    break
                delay = self._retry.delay(error, failures)
                yield MetadataChunk(
                    "retrying", {"attempt": failures + 1, "delayMs": round(delay * 1000), "code": error.code}
                )
                await unless_cancelled(_sleep(self._ports, delay), self._context.cancelled)
            errors.append(error)
            if not falls_back(error):
                raise error
        raise error_to_tell(errors)


class _Request:
    """One provider request: reserve, stream, and settle unless it completed."""

    def __init__(self, step: ModelStep, route: Route) -> None:
        self.error: LLMError | None = None
        self.visible = False
        self._step = step
        self._route = route
        self._usage: Usage | None = None
        self._streamed: list[str] = []
        self._first_token_at: float | None = None
        self._answering = False
        self._splitter = ThinkingSplitter()
        self._pump: EventPump | None = None

    async def stream(self) -> AsyncGenerator[Chunk, None]:
        step, route, ports = self._step, self._route, self._step._ports
        step._requests += 1
        request = step._build(route)
        attempt = await ports.meter.reserve(
            request, provider=route.provider.name, step=step._index, attempt=step._requests
        )
        request = replace(request, max_tokens=min(request.max_tokens, attempt.max_tokens))
        status: Literal["failed", "cancelled", "cut"] = "cut"
        started = ports.clock.monotonic()
        pump = self._pump = EventPump(route.provider.stream(request), step._context.cancelled)
        try:
            async with pump:
                while events := merged(await pump.take()):
                    self._answering = True
                    for number, event in enumerate(events):
                        if step._context.cancelled.is_set():
                            self._streamed.extend(map(_text_of, events[number:]))
                            raise RunCancelled("Stopped.")
                        for chunk in self._chunks_of(event):
                            if self._first_token_at is None:
                                self._first_token_at = ports.clock.monotonic()
                            self._show(chunk)
                            yield chunk
                        if isinstance(event, Stop):
                            if event.usage is None:
                                await ready()
                            self._complete(event, attempt, started)
                            return
            self.error = StreamBroken(
                f"{route.provider.name} ended its answer without a stop reason.",
                provider=route.provider.name,
                model=route.model,
            )
        except RunCancelled:
            status = "cancelled"
            self._streamed.extend(_text_of(event) for event in pump.unread())
            raise
        except LLMError as error:
            self.error = error
        except Exception as error:
            _log.error("provider %s failed: %s", route.provider.name, type(error).__name__, exc_info=error)
            self.error = LLMError(provider=route.provider.name, model=route.model, cause=error)
            self.error.code = "unexpected_error"
        finally:
            if step.completed is None:
                if self.error is not None:
                    status = "cut" if self._streamed else "failed"
                await self._settle(attempt, status, started)
        if self.visible:
            for chunk in self._rest():
                self._show(chunk)
                yield chunk

    def _chunks_of(self, event: ModelEvent) -> list[Chunk]:
        match event:
            case TextDelta(text):
                self._streamed.append(text)
                return _as_chunks(self._splitter.feed(text))
            case ReasoningDelta(text):
                self._streamed.append(text)
                return [ReasoningChunk(text)] if text else []
            case ToolInputDelta(partial_json=text):
                self._streamed.append(text or "")
            case UsageUpdate(usage):
                self._usage = usage
            case Stop():
                return self._rest()
        return []

    def _rest(self) -> list[Chunk]:
        return _as_chunks(self._splitter.finish())

    def _show(self, chunk: Chunk) -> None:
        self.visible = True
        if isinstance(chunk, ContentChunk):
            self._step._text.append(chunk.text)

    def _complete(self, stop: Stop, attempt: Attempt, started: float) -> None:
        stop = replace(stop, parts=tuple(_signed(part, self._route.provider.name) for part in stop.parts))
        outcome = self._outcome("complete", started, stop=stop)
        settled = self._step._ports.meter.price(attempt, outcome)
        self._step.completed = Completed(stop, self._route, attempt, outcome, settled)

    async def _settle(
        self, attempt: Attempt, status: Literal["failed", "cancelled", "cut"], started: float
    ) -> None:
        await ready()
        meter = self._step._ports.meter
        outcome = self._outcome(status, started)
        settled = meter.price(attempt, outcome)
        self._step.spent.append(settled)
        await meter.settle(attempt, outcome, settled)

    def _outcome(
        self,
        status: Literal["complete", "failed", "cancelled", "cut"],
        started: float,
        *,
        stop: Stop | None = None,
    ) -> AttemptOutcome:
        clock = self._step._ports.clock
        first = self._first_token_at
        return AttemptOutcome(
            status=status,
            usage=self._final_usage(stop),
            streamed_text="".join(self._streamed),
            stop_reason=stop.reason if stop else None,
            error_code=self.error.code if self.error else None,
            duration_ms=round((clock.monotonic() - started) * 1000),
            time_to_first_token_ms=None if first is None else round((first - started) * 1000),
            model=(stop.model if stop else "") or self._route.model,
            request_id=stop.request_id if stop else "",
            sent=self._sent,
        )

    def _final_usage(self, stop: Stop | None) -> Usage | None:
        if stop is not None:
            return stop.usage if stop.usage is not None else self._usage
        if self._usage is not None:
            # Cut: what the provider said last is behind what it had already streamed.
            counted = count_tokens("".join(self._streamed)) - self._usage.reasoning
            return replace(self._usage, output=max(self._usage.output, counted), estimated=True)
        refused = self.error is not None and self.error.status is not None
        if not self._sent or (refused and not self._answering):
            return Usage()
        return None

    @property
    def _sent(self) -> bool:
        if self._pump is None or not self._pump.started:
            return False
        return self.error.sent if self.error else True


def merged(events: list[ModelEvent]) -> list[ModelEvent]:
    """The events with neighbouring pieces of one kind joined: whoever reads slower than the provider
    writes gets fewer, longer chunks, and whoever keeps up gets them one by one."""
    if len(events) < 2:
        return events
    out: list[ModelEvent] = []
    for kind, group in itertools.groupby(events, type):
        pieces = list(group)
        if kind is TextDelta or kind is ReasoningDelta:
            out.append(kind("".join(map(_text_of, pieces))))
        else:
            out.extend(pieces)
    return out


def _as_chunks(pieces: list[Piece]) -> list[Chunk]:
    return [ContentChunk(text) if kind == "text" else ReasoningChunk(text) for kind, text in pieces]


def _text_of(event: ModelEvent) -> str:
    match event:
        case TextDelta(text) | ReasoningDelta(text):
            return text
        case ToolInputDelta(partial_json=text):
            return text
        case _:
            return ""


def _signed(part: Part, provider: str) -> Part:
    """The part with its maker's name, so that its opaque bytes go to nobody else."""
    if isinstance(part, TextPart | ReasoningPart | ToolCallPart) and not part.provider:
        return replace(part, provider=provider)
    return part


def _tell(error: LLMError, number: int) -> None:
    """One line for a request that failed; what the provider said may quote the prompt and stays out."""
    _log.warning(
        "a provider request failed: %s",
        error.code,
        extra={
            "provider": error.provider,
            "model": error.model,
            "code": error.code,
            "http_status": error.status,
            "attempt": number,
        },
    )


async def _sleep(ports: Ports, seconds: float) -> None:
    await ports.clock.sleep(seconds)
