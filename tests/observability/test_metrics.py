"""What `/metrics` counts along the way of a run, and that the pages about it name what there is."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY, generate_latest

from agents.services import agent_create
from conversations import instruments
from conversations.database import in_database
from conversations.engine.writer import LogWriter
from conversations.follow import follow
from conversations.services.run_start import run_start
from docs import metrics as metrics_page
from nexus_core.chunks import MetadataChunk
from nexus_core.errors import AuthenticationFailed, RateLimited
from nexus_core.ports import ToolRecord
from nexus_core.providers.base import Stop, TextDelta
from nexus_core.providers.scripted import Action
from nexus_core.tools import tool
from nexus_core.usage import Usage
from realtime.frames import Frame
from realtime.gate import RunGates
from tests.conversations.conftest import chunks_of
from tests.observability.conftest import asks
from workspaces.instruments import FewLabels, Tally
from workspaces.limits import LIMITS, limit_hit, limits_reset

pytestmark = pytest.mark.django_db(transaction=True)

FOLDER = Path(metrics_page.__file__).parent / "observability"
_NAME = re.compile(r"\bnexus_[a-z_]+\b")


def value(name: str, **labels: str) -> float:
    only_it = REGISTRY.restricted_registry([name])  # the rest would ask the database
    found = (sample for family in only_it.collect() for sample in family.samples)
    return next((one.value for one in found if (one.name, one.labels) == (name, labels)), 0.0)


class Grown:
    """How much a sample grew since this was made."""

    def __init__(self, *samples: tuple[str, dict[str, str]]) -> None:
        self._before = {(n, tuple(sorted(ls.items()))): value(n, **ls) for n, ls in samples}

    def by(self) -> dict[str, float]:
        return {n: round(value(n, **dict(ls)) - before, 9) for (n, ls), before in self._before.items()}


@tool
async def look() -> str:
    """Looks."""
    return "seen"


async def test_it_counts_a_run_its_requests_tokens_and_tries(alice, engine, plays):
    plays(
        RateLimited(provider="scripted", model="scripted-1", status=429),
        asks("look"),
        [Stop("end", (), Usage(input=10, output=4, cache_read=5, reasoning=2))],
        tools=[look],
    )
    grown = Grown(
        ("nexus_runs_ended_total", {"status": "complete", "agent": "demo-agent", "provider": "scripted"}),
        ("nexus_provider_retries_total", {"code": "rate_limit_exceeded"}),
        ("nexus_provider_errors_total", {"provider": "scripted", "code": "rate_limit_exceeded"}),
        ("nexus_provider_requests_total", {"provider": "scripted", "outcome": "complete"}),
        ("nexus_tokens_total", {"provider": "scripted", "bucket": "input"}),
        ("nexus_tokens_total", {"provider": "scripted", "bucket": "reasoning"}),
        ("nexus_tool_calls_total", {"tool": "other", "status": "COMPLETED"}),
        ("nexus_log_flush_rows_sum", {}),
        ("nexus_run_seconds_count", {"status": "complete"}),
    )
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_="x"))
    chunks = await chunks_of(started.run.pk)
    async with asyncio.timeout(20):
        while not grown.by()["nexus_runs_ended_total"]:
            await asyncio.sleep(0.01)
    found = grown.by()
    assert found["nexus_runs_ended_total"] == 1
    assert found["nexus_provider_retries_total"] == 1 and found["nexus_provider_errors_total"] == 1
    assert found["nexus_provider_requests_total"] == 2
    assert found["nexus_tool_calls_total"] == 1
    assert found["nexus_tokens_total"] == 2  # the last of the two samples: reasoning
    # The first chunk is stored with the run's start, the terminal one with its end, not by the writer.
    assert found["nexus_log_flush_rows_sum"] == len(chunks) - 2
    assert found["nexus_run_seconds_count"] == 1


async def test_latency_is_from_the_providers_piece_to_its_publishing(alice, engine, plays):
    before = value("nexus_chunk_latency_seconds_count"), value("nexus_chunk_latency_seconds_sum")
    began = time.monotonic()
    plays("One two three.")
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_="x"))
    await chunks_of(started.run.pk)
    count = value("nexus_chunk_latency_seconds_count") - before[0]
    took = value("nexus_chunk_latency_seconds_sum") - before[1]
    assert count >= 1 and 0 <= took <= (time.monotonic() - began) * count


async def test_a_failed_run_is_counted_by_its_code(alice, engine, plays):
    plays(AuthenticationFailed(provider="scripted", model="scripted-1", status=401))
    grown = Grown(("nexus_run_errors_total", {"code": "authentication_error"}))
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_="x"))
    await chunks_of(started.run.pk)
    async with asyncio.timeout(20):
        while not grown.by()["nexus_run_errors_total"]:
            await asyncio.sleep(0.01)
    assert grown.by() == {"nexus_run_errors_total": 1}


def test_labels_stay_few_and_nobodys_words(alice):
    few = FewLabels(most=2)
    assert [few(name) for name in ("a", "b", "c", "a", "", "b")] == ["a", "b", "other", "a", "other", "b"]
    grown = Grown(
        ("nexus_tool_calls_total", {"tool": "other", "status": "FAILED"}),
        ("nexus_provider_fallbacks_total", {"provider": "other"}),
    )
    instruments.tool_ended(ToolRecord("1", "c", 0, "made up by a model", {}, "FAILED"))
    instruments.told(MetadataChunk("fallback", {"provider": "nobody knows it", "model": "m"}))
    assert grown.by() == {"nexus_tool_calls_total": 1, "nexus_provider_fallbacks_total": 1}
    text = generate_latest(REGISTRY).decode()
    assert "made up" not in text and "nobody knows" not in text


async def test_an_agent_made_here_is_counted_without_its_name(alice, engine, plays):
    plays("Hello.")
    made = await in_database(
        lambda: agent_create(
            actor=alice, fields={"name": "Secret Plan", "provider": "scripted", "model": "scripted-1"}
        )
    )
    grown = Grown(
        ("nexus_runs_ended_total", {"status": "complete", "agent": "custom", "provider": "scripted"})
    )
    started = await in_database(lambda: run_start(actor=alice, agent_id=made.slug, input_="x"))
    await chunks_of(started.run.pk)
    async with asyncio.timeout(20):
        while not grown.by()["nexus_runs_ended_total"]:
            await asyncio.sleep(0.01)
    text = (await in_database(generate_latest, REGISTRY)).decode()
    assert "secret-plan" not in text.lower() and str(alice.workspace_id) not in text


async def test_missed_doorbells_are_counted_by_who_found_them(monkeypatch):
    async def reader(run_id: str, after: int, limit: int) -> list[Frame]:
        return []

    monkeypatch.setattr("realtime.gate._reader", reader)
    grown = Grown(("nexus_hint_gaps_total", {"found_by": "next"}))
    looked = Grown(("nexus_hint_gaps_total", {"found_by": "comparison"}))
    gates = RunGates(lambda frame: None)
    gates.pass_on(Frame("{}", "chunk", "r", 1))
    gates.pass_on(Frame("{}", "chunk", "r", 3))
    assert grown.by() == {"nexus_hint_gaps_total": 1} and looked.by() == {"nexus_hint_gaps_total": 0}
    other = RunGates(lambda frame: None)
    other.pass_on(Frame("{}", "chunk", "r", 1))
    other.look("r", 2)
    assert looked.by() == {"nexus_hint_gaps_total": 0}
    other.look("r", 2)
    assert looked.by() == {"nexus_hint_gaps_total": 1}
    gates.close()
    other.close()


async def test_a_reader_that_heard_nothing_counts_what_it_found(alice, engine, plays, monkeypatch):
    """With every doorbell lost the log is found by looking."""
    monkeypatch.setattr("conversations.follow.LOOK_SECONDS", 0.05)
    monkeypatch.setattr("conversations.follow._Bell.receive", lambda self, room, frames: None)
    read: list[int] = []

    def words() -> Iterator[Action]:
        """The second one is said when the first one was read, and nobody but the log tells of it."""
        yield TextDelta("One. ")
        while not read:
            yield 0.05
        yield 0.2
        yield TextDelta("Two. ")
        yield Stop("end", (), Usage(input=1, output=1))

    plays(words())
    grown = Grown(("nexus_hint_gaps_total", {"found_by": "comparison"}))
    started = await in_database(lambda: run_start(actor=alice, agent_id="demo-agent", input_="x"))
    async for seq, _ in follow(started.run.pk):
        read.append(seq)
    seqs = read
    assert seqs == list(range(1, len(seqs) + 1))
    assert grown.by()["nexus_hint_gaps_total"] >= 1


def test_a_refusal_by_a_rate_limit_is_counted(alice):
    limits_reset()
    grown = Grown(("nexus_rate_limited_total", {"limit": "exports", "whose": "person"}))
    with pytest.raises(Exception, match="too often"):
        for _ in range(LIMITS["exports"].amount + 1):
            limit_hit("exports", alice)
    limits_reset()
    assert grown.by() == {"nexus_rate_limited_total": 1}


async def test_a_database_that_does_not_answer_is_counted(transactional_db):
    from django.db import OperationalError

    def away() -> None:
        raise OperationalError("gone")

    grown = Grown(("nexus_database_errors_total", {"error": "OperationalError"}))
    with pytest.raises(OperationalError):
        await in_database(away)
    assert grown.by() == {"nexus_database_errors_total": 1}


def test_a_tally_is_a_histogram_as_prometheus_reads_it():
    tally = Tally("nexus_test_tally", "A test.", (1, 2.5))
    try:
        for seen in (0.5, 1, 2, 9):
            tally.observe(seen)
        assert value("nexus_test_tally_bucket", le="1.0") == 2
        assert value("nexus_test_tally_bucket", le="2.5") == 3
        assert value("nexus_test_tally_bucket", le="+Inf") == 4 == value("nexus_test_tally_count")
        assert value("nexus_test_tally_sum") == 12.5
    finally:
        REGISTRY.unregister(tally)


def test_the_guide_lists_what_there_is():
    assert metrics_page.GUIDE.read_text() == metrics_page.page(), "run python -m docs.generate"


def test_every_exposed_metric_is_in_the_guide_and_nothing_else(settings):
    known = {name for name, *_ in metrics_page.families()}
    shown = set(re.findall(r"^# TYPE (nexus_\w+) ", generate_latest(REGISTRY).decode(), re.MULTILINE))
    assert shown | {"nexus_docket_stream_depth"} == known | {"nexus_docket_stream_depth"}


def samples() -> dict[str, set[str]]:
    """Every name that a query may use, with its labels."""
    found: dict[str, set[str]] = {}
    for name, kind, labels, _ in metrics_page.families():
        suffixes = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        for suffix in suffixes:
            found[name + suffix] = {*labels, *(["le"] if suffix == "_bucket" else [])}
    return found


def queries() -> list[tuple[str, str]]:
    alerts = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
    dashboard = json.loads((FOLDER / "grafana.json").read_text())
    found = [(rule["alert"], rule["expr"]) for group in alerts["groups"] for rule in group["rules"]]
    found += [
        (panel["title"], target["expr"]) for panel in dashboard["panels"] for target in panel["targets"]
    ]
    return found


@pytest.mark.parametrize(("title", "query"), queries())
def test_alerts_and_dashboard_ask_for_what_there_is(title, query):
    known = samples()
    names = set(_NAME.findall(query))
    assert names <= set(known), f"{title} asks for {names - set(known)}"
    labels = set().union(*(known[name] for name in names), {"instance", "job"})
    asked = {
        label.strip() for group in re.findall(r"\bby \(([^)]*)\)", query) for label in group.split(",")
    } | set(re.findall(r"[{,]\s*(\w+)\s*=", query))
    assert asked <= labels, f"{title} groups by {asked - labels}"
    assert query.count("(") == query.count(")")


def test_every_metric_is_on_the_dashboard_or_in_an_alert():
    used = {name for _, query in queries() for name in _NAME.findall(query)}
    left = {name for name, *_ in metrics_page.families() if not any(one.startswith(name) for one in used)}
    assert left <= {
        "nexus_docket_stream_depth",
        "nexus_log_rows_packed_total",
        "nexus_logs_packed_total",
        "nexus_provider_errors_total",
        "nexus_provider_request_seconds",
        "nexus_run_seconds",
        "nexus_tool_seconds",
        "nexus_unpriced_requests_total",
    }


async def test_counting_a_flush_costs_microseconds(transactional_db):
    """A bound that only a mistake passes: the measured cost is a hundredth of it."""
    tally = Tally("nexus_test_cost", "A test.", instruments.QUICK_SECONDS)
    try:
        began = time.process_time()
        for _ in range(10_000):
            tally.observe(0.004)
        assert (time.process_time() - began) / 10_000 < 50e-6
    finally:
        REGISTRY.unregister(tally)
    writer = LogWriter(asyncio.get_running_loop())
    assert writer.condition() == "ok"
    await writer.close()
