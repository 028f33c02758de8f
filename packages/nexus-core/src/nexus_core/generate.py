"""One question, one answer, without an agent: text, streamed text, or a typed object [P6].

They go through the same loop as agents do, so retry, fallback, tools and the meter
hold here too. Failures are raised, not streamed.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from .chunks import Chunk
from .context import ExecutionContext
from .defaults import default_ports
from .errors import ObjectInvalid, Refused
from .fallback import Route
from .loop import LoopRun, RunSpec
from .messages import Message, user
from .ports import Ports
from .signature import schema_of
from .usage import Cost, Usage

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

REPAIRS = 2
"""How often a model is shown what is wrong with its object and asked again."""

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Generated(Generic[T]):
    """An answer, why it ended, and what all requests for it cost."""

    value: T
    stop_reason: str
    usage: Usage
    cost: Cost
    provider: str
    model: str


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask. `spec` takes the loop's settings beside its routes (system, tools, max_tokens …)."""

    routes: Sequence[Route]
    messages: Sequence[Message]
    context: ExecutionContext = field(default_factory=ExecutionContext)
    ports: Ports = field(default_factory=default_ports)
    spec: dict[str, Any] = field(default_factory=dict)

    def run(self, **more: Any) -> LoopRun:
        spec = replace(RunSpec(self.routes, **self.spec), **more)
        return LoopRun(spec, self.messages, self.context, self.ports)


def ask(
    route: Route | Sequence[Route],
    prompt: str | Sequence[Message],
    *,
    context: ExecutionContext | None = None,
    ports: Ports | None = None,
    **spec: Any,
) -> Question:
    """A question to a model (or a chain of fallbacks): a text, or whole messages; `spec` as in `RunSpec`."""
    return Question(
        routes=[route] if isinstance(route, Route) else list(route),
        messages=[user(prompt)] if isinstance(prompt, str) else list(prompt),
        context=context or ExecutionContext(),
        ports=ports or default_ports(),
        spec=spec,
    )


async def generate_text(
    route: Route | Sequence[Route],
    prompt: str | Sequence[Message],
    *,
    context: ExecutionContext | None = None,
    ports: Ports | None = None,
    **spec: Any,
) -> Generated[str]:
    """The whole answer as text. Raises `LLMError`, `BudgetExceeded`, `RunCancelled`."""
    run = ask(route, prompt, context=context, ports=ports, **spec).run()
    await _to_the_end(run)
    return _generated(run, run.text)


async def stream_text(
    route: Route | Sequence[Route],
    prompt: str | Sequence[Message],
    *,
    context: ExecutionContext | None = None,
    ports: Ports | None = None,
    **spec: Any,
) -> AsyncGenerator[Chunk, None]:
    """The answer as chunks, without a terminal one. Raises as `generate_text` does."""
    run = ask(route, prompt, context=context, ports=ports, **spec).run()
    async with aclosing(run.steps()) as chunks:
        async for chunk in chunks:
            yield chunk


async def generate_object(
    route: Route | Sequence[Route],
    model: type[M],
    prompt: str | Sequence[Message],
    *,
    context: ExecutionContext | None = None,
    ports: Ports | None = None,
    **spec: Any,
) -> Generated[M]:
    """The answer as an instance of a pydantic model.

    The schema goes to the provider and, for those that cannot enforce one, into the system
    prompt; an answer that does not fit is shown its faults and asked for again, twice at most.
    Raises `ObjectInvalid` after that, `Refused` when the model declined, and as `generate_text`.
    """
    schema = schema_of(model)
    told = "Answer with one JSON object and nothing else. It follows this JSON Schema:\n" + json.dumps(schema)
    question = ask(route, prompt, context=context, ports=ports, **spec)
    run = question.run(system=f"{spec.get('system', '')}\n\n{told}".strip(), response_schema=schema)
    fault: ValidationError | None = None
    for _ in range(1 + REPAIRS):
        await _to_the_end(run)
        if run.stop_reason == "refusal":
            raise Refused(
                "The model declined to answer.", provider=_answered(run)[0], model=_answered(run)[1]
            )
        try:
            return _generated(run, model.model_validate_json(_json_in(run.text)))
        except ValidationError as error:
            fault = error
            run.ask_again(
                user(f"That was not it: {_faults(error)}. Answer again with the JSON object alone.")
            )
    provider, name = _answered(run)
    raise ObjectInvalid(
        f"The model gave no valid {model.__name__} in {1 + REPAIRS} tries.",
        provider=provider,
        model=name,
        cause=fault,
    )


async def _to_the_end(run: LoopRun) -> None:
    async with aclosing(run.steps()) as chunks:
        async for _ in chunks:
            pass


def _generated(run: LoopRun, value: T) -> Generated[T]:
    return Generated(value, run.stop_reason, run.usage, run.cost, *_answered(run))


def _answered(run: LoopRun) -> tuple[str, str]:
    return run.answered or ("", "")


def _json_in(text: str) -> str:
    """The object in an answer that may have words or a fence around it."""
    fenced = _FENCED.search(text)
    inner = fenced[1] if fenced else text
    first, last = inner.find("{"), inner.rfind("}")
    return inner[first : last + 1] if 0 <= first < last else inner.strip()


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'it'}: {e['msg']}" for e in error.errors()[:5])
