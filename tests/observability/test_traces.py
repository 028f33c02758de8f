"""Spans by the GenAI conventions, over the whole way of a run; and nothing of it where tracing is off."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from uuid import uuid4

import pytest
from django.core.cache import cache
from django.test import AsyncClient
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import SpanKind, StatusCode

from conversations.database import in_database
from conversations.models import Run
from conversations.services.run_start import run_start
from nexus_core import tracing
from nexus_core.errors import RateLimited
from nexus_core.providers.base import Stop
from nexus_core.tools import tool
from nexus_core.usage import Usage
from tests.conversations.conftest import chunks_of
from tests.observability.conftest import asks
from workspaces.tokens import token_create

pytestmark = pytest.mark.django_db(transaction=True)

CANARY = "heron-canary-19c2"
TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
KNOWN = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI")}


class Spans:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def named(self, beginning: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name.startswith(beginning)]

    async def until(self, beginning: str) -> ReadableSpan:
        async with asyncio.timeout(60):
            while not (found := self.named(beginning)):
                await asyncio.sleep(0.01)
        return found[-1]


@pytest.fixture
def spans() -> Iterator[Spans]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.enable(provider.get_tracer("tests"))
    yield Spans(exporter)
    tracing.disable()
    provider.shutdown()


@tool
async def look(text: str) -> str:
    """Looks.

    Args:
        text: what for.
    """
    with tracing.span("inside the tool"):
        return f"seen {text}"


def under(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.context.span_id


async def test_a_run_is_spans_from_agent_to_tool_by_the_conventions(alice, engine, plays, spans):
    usage = Usage(input=10, output=4, cache_read=5, cache_write_5m=3, reasoning=2)
    plays(
        RateLimited(provider="scripted", model="scripted-1", status=429),
        asks("look", text=CANARY),
        [Stop("end", (), usage, model="scripted-1-0", request_id="req-7")],
        tools=[look],
    )
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_=CANARY))
    await chunks_of(started.run.pk)
    root = await spans.until("invoke_agent")
    name = started.run.agent.name if started.run.agent else "demo-agent"
    assert root.name == f"invoke_agent {name}"
    first, second = spans.named("step 0")[0], spans.named("step 1")[0]
    assert under(first, root) and under(second, root)
    failed, asked, answered = spans.named("chat scripted-1")
    assert under(failed, first) and under(asked, first) and under(answered, second)
    (called,) = spans.named("execute_tool look")
    assert under(called, first)
    assert under(spans.named("inside the tool")[0], called)
    assert (failed.status.status_code, failed.attributes["error.type"]) == (
        StatusCode.ERROR,
        "rate_limit_exceeded",
    )
    assert answered.kind is SpanKind.CLIENT
    told = dict(answered.attributes)
    assert told["gen_ai.operation.name"] == "chat" and told["gen_ai.request.model"] == "scripted-1"
    assert told["gen_ai.response.model"] == "scripted-1-0"
    assert told["gen_ai.usage.input_tokens"] == 18 and told["gen_ai.usage.output_tokens"] == 6
    assert told["gen_ai.usage.cache_read.input_tokens"] == 5
    assert told["gen_ai.usage.cache_creation.input_tokens"] == 3
    assert told["gen_ai.usage.reasoning.output_tokens"] == 2
    assert told["gen_ai.response.finish_reasons"] == ("end",)
    assert told["gen_ai.conversation.id"] == str(started.conversation.pk)
    assert root.attributes["nexus.run.status"] == "complete"
    assert root.attributes["nexus.run.id"] == str(started.run.pk)
    for span in spans.all():
        for key in span.attributes:
            assert key in KNOWN or not key.startswith("gen_ai."), key
        assert CANARY not in span.to_json()


async def test_prompts_and_answers_are_recorded_only_when_asked_for(alice, engine, plays, spans):
    tracing.enable(tracing._tracer, content=True)
    plays(asks("look", text=CANARY), f"I saw {CANARY}.", tools=[look])
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_=CANARY))
    await chunks_of(started.run.pk)
    await spans.until("invoke_agent")
    chat = spans.named("chat")[-1]
    assert CANARY in chat.attributes["gen_ai.input.messages"]
    assert CANARY in chat.attributes["gen_ai.output.messages"]
    (called,) = spans.named("execute_tool look")
    assert CANARY in called.attributes["gen_ai.tool.call.arguments"]
    assert CANARY in called.attributes["gen_ai.tool.call.result"]


async def test_a_run_goes_on_in_the_trace_of_the_request_that_started_it(
    alice, engine, plays, spans, settings
):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "nexus_site.tracing.TracingMiddleware"]
    plays("Hello.")
    token = await in_database(
        lambda: token_create(user=alice.user, workspace=alice.workspace, name="mine").text
    )
    answer = await AsyncClient().post(
        "/api/invoke",
        {"agentId": "demo-agent", "message": CANARY, "background": True},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token}", "traceparent": f"00-{TRACE}-{PARENT}-01"},
    )
    assert answer.status_code == 202
    root = await spans.until("invoke_agent")
    (request,) = spans.named("POST /api/invoke")
    assert f"{request.context.trace_id:032x}" == TRACE
    assert f"{request.parent.span_id:016x}" == PARENT
    assert under(root, request) and request.attributes["http.response.status_code"] == 202
    assert CANARY not in request.to_json() and token not in request.to_json()


async def test_an_owner_after_a_takeover_goes_on_in_the_same_trace(alice, engine, plays, spans):
    """The worker that takes over shares nothing with the first one but the database and the cache."""
    plays("Hello.")

    def begin() -> Run:
        with tracing.span("POST /api/invoke", parent=tracing.context_of(f"00-{TRACE}-{PARENT}-01")):
            return run_start(actor=alice, agent_id="demo-agent", input_="x").run

    run = await asyncio.to_thread(begin)
    await chunks_of(run.pk)
    await spans.until("invoke_agent")
    from conversations.tracing import carried

    context = await in_database(carried, run.pk)
    with tracing.span("a later owner", parent=context):
        pass
    (later,) = spans.named("a later owner")
    assert f"{later.context.trace_id:032x}" == TRACE
    assert await in_database(carried, uuid4()) is None


async def test_a_run_that_fails_before_it_asks_anybody_is_marked(alice, engine, plays, spans, monkeypatch):
    from conversations.engine import runner
    from nexus_core.errors import AgentNotFound

    def refuse(*args: object, **options: object) -> None:
        raise AgentNotFound(f"not {CANARY}")

    monkeypatch.setattr(runner, "build_agent", refuse)
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_="x"))
    await chunks_of(started.run.pk)
    root = await spans.until("invoke_agent")
    assert root.status.status_code is StatusCode.ERROR
    assert root.attributes["error.type"] == "agent_not_found" and CANARY not in root.to_json()


def test_an_exceptions_words_are_not_kept(spans):
    with pytest.raises(ValueError), tracing.span("work"):
        raise ValueError(CANARY)
    (span,) = spans.all()
    assert span.attributes["error.type"] == "ValueError"
    assert not span.events and CANARY not in span.to_json()


def test_nothing_of_it_is_imported_while_it_is_off(tmp_path):
    """And with an address of a collector it is on. (redis-py looks for the SDK's metrics by itself.)"""
    code = (
        "import sys, nexus_site.asgi\n"
        "from django.conf import settings\n"
        "from conversations import tracing as ours\n"
        "from nexus_core import tracing\n"
        "ours.start()\n"
        "print(tracing.enabled(), 'opentelemetry.sdk.trace' in sys.modules, 'google.protobuf' in sys.modules,\n"
        "      'nexus_site.tracing.TracingMiddleware' in settings.MIDDLEWARE)\n"
    )
    environment = {"DEBUG": "1", "NEXUS_DATA_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    for address, expected in (("", "False False False False"), ("http://127.0.0.1:9", "True True True True")):
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={**environment, "OTEL_EXPORTER_OTLP_ENDPOINT": address},
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert done.stdout.strip().splitlines()[-1] == expected, done.stderr


@pytest.fixture(autouse=True)
def nothing_carried() -> Iterator[None]:
    yield
    cache.clear()
