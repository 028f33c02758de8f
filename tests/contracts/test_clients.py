"""The browser's reducer and the Python client read the same frames into the same conversation.

The frames are made up by hypothesis: logs of runs with resets, tools, sections and types nobody knows, told with
gaps, doubles and replays, between snapshots, records and everything else that a socket brings.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from nexus_core.client.state import ConversationView
from nexus_core.client.view import Called, RunView
from scripts.assets import find_node

HERE = Path(__file__).parent
JSON = Any
Frames = list[dict[str, JSON]]
RUNS = ("r1", "r2")
TERMINAL = ("complete", "cancelled", "failed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Callable[[Frames], JSON]]:
    """What the browser's reducer makes of frames."""
    node = find_node()
    if node is None:
        pytest.fail("no Node: `make install` brings one along")
    process = subprocess.Popen(
        [str(node.program), str(HERE / "reduce.mjs")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def reduced(frames: Frames) -> JSON:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(frames) + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    yield reduced
    process.stdin.close()
    process.wait(60)
    process.stdout.close()


def python(frames: Frames) -> JSON:
    view = ConversationView()
    for frame in frames:
        view.apply(frame)
    return {
        "title": view.conversation.title if view.conversation else None,
        "messages": [
            {"id": m.id, "role": m.role, "content": m.content, "superseded": m.superseded, "runId": m.run_id}
            for m in view.messages.values()
        ],
        "runs": [_run(run) for run in view.runs.values()],
        "presence": [one.user_id for one in view.presence],
        "activities": [one.id for one in view.activities],
    }


def _run(run: RunView) -> JSON:
    return {
        "id": run.id,
        "conversationId": run.conversation_id,
        "agentId": run.agent_id,
        "promptId": run.prompt_id,
        "answerId": run.answer_id,
        "status": run.status,
        "lastSeq": run.last_seq,
        "storedSeq": run.stored_seq,
        "gapAt": run.gap_at,
        "epoch": run.epoch,
        "superseded": run.superseded,
        "waitingFor": run.waiting_for,
        "error": run.error["code"] if run.error else None,
        "stopReason": run.stop_reason,
        "tokens": run.token_usage["total"] if run.token_usage else None,
        "cost": run.cost["total"] if run.cost else None,
        "durationMs": run.duration_ms,
        "text": run.text,
        "items": [
            {"kind": "tool", "toolId": i.call.tool_id, "status": i.call.status, "input": i.call.input}
            if isinstance(i, Called)
            else {"kind": i.kind, "section": i.section, "text": i.text}
            for i in run.items
        ],
    }


# --- logs of runs ---

WORDS = st.text(alphabet="ab 中\n€", max_size=4)
USAGE = {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0, "reasoning": 0, "total": 3}


def _chunk(kind: str, data: JSON) -> dict[str, JSON]:
    return {"type": kind, "data": data, "timestamp": 1_700_000_000_000}


def _meta(status: str, **fields: JSON) -> dict[str, JSON]:
    return _chunk("metadata", {"status": status, **fields})


@st.composite
def middles(draw: st.DrawFn, seq: int) -> dict[str, JSON]:
    """A chunk that may stand at that seq of a run."""
    kind = draw(
        st.sampled_from(["content"] * 4 + ["section", "reasoning", "tool", "tool", "reset", "resumed"]
                        + ["progress", "retrying", "fallback", "waiting", "error", "unknown"])
    )  # fmt: skip
    tool = draw(st.sampled_from(["t1", "t2"]))
    match kind:
        case "content":
            return _chunk("content", draw(WORDS))
        case "section":
            return _chunk("content", {"section": draw(st.sampled_from("xy")), "content": draw(WORDS)})
        case "reasoning":
            return _chunk("reasoning", draw(WORDS))
        case "tool":
            status = draw(st.sampled_from(["PENDING", "RUNNING", "COMPLETED", "FAILED", "UNKNOWN"]))
            call = {
                "toolId": tool,
                "toolName": "n",
                "input": {"a": draw(st.integers(0, 3))},
                "status": status,
            }
            return _chunk("tool_call", call | ({"result": 1} if status == "COMPLETED" else {}))
        case "reset":
            return _meta("reset", keepSeq=draw(st.integers(1, max(1, seq - 1))))
        case "resumed":
            return _meta("resumed", epoch=draw(st.integers(2, 5)))
        case "progress":
            return _meta("progress", percentage=draw(st.integers(0, 100)))
        case "retrying":
            return _meta("retrying", attempt=1, delayMs=10, code="api_error")
        case "fallback":
            return _meta("fallback", provider="p", model="m")
        case "waiting":
            return _meta("waiting", toolId=tool)
        case "error":
            return _chunk("error", {"message": "m", "code": draw(st.sampled_from("cd")), "retryable": False})
    return _chunk("hologram", {"x": 1})


@st.composite
def logs(draw: st.DrawFn) -> Frames:
    log = [_meta("started", conversationId="k1", agentId="a", messageId="answer", questionId="q")]
    for seq in range(2, 2 + draw(st.integers(0, 12))):
        log.append(draw(middles(seq)))
    if draw(st.booleans()):
        cost = {"input": "0.1", "output": "0.2", "total": "0.3", "currency": "USD"}
        end = draw(st.sampled_from(TERMINAL))
        log.append(
            _meta(end, tokenUsage=USAGE, cost=cost, durationMs=5, stopReason="end", messageId="answer")
        )
    return log


def record(run_id: str, log: Frames, status: str | None = None) -> dict[str, JSON]:
    """The run's row, as `run_wire` gives it."""
    last = log[-1]["data"].get("status") if log[-1]["type"] == "metadata" else None
    ended = last in TERMINAL
    return {
        "id": run_id, "runId": run_id, "conversationId": "k1", "agentId": "a", "messageId": "q",
        "answerId": "answer", "status": status or (last if ended else "running"), "superseded": False,
        "resumedFrom": None, "epoch": 1, "lastSeq": len(log), "provider": "p", "model": "m",
        "stopReason": "end" if ended else None, "error": None, "tokenUsage": USAGE if ended else None,
        "cost": None, "estimated": False, "durationMs": 5 if ended else None,
    }  # fmt: skip


def chunk_frame(run_id: str, seq: int, log: Frames) -> dict[str, JSON]:
    return {"type": "chunk", "runId": run_id, "conversationId": "k1", "seq": seq, "chunk": log[seq - 1]}


def subscribed(told: dict[str, Frames], title: str = "T") -> dict[str, JSON]:
    return {
        "type": "subscribed", "conversationId": "k1",
        "conversation": {"id": "k1", "title": title},
        "messages": [{"id": "q", "conversationId": "k1", "role": "user", "content": "hi", "runId": None}],
        "runs": [record(run_id, log) for run_id, log in told.items()], "members": [], "presence": [],
    }  # fmt: skip


@st.composite
def conversations(draw: st.DrawFn) -> Frames:
    """What a socket may bring of two runs, in any order that a bad network can make."""
    told = {run_id: draw(logs()) for run_id in RUNS}
    frames = [subscribed(draw(st.sampled_from([{}, told])))]
    for _ in range(draw(st.integers(0, 30))):
        run_id = draw(st.sampled_from(RUNS))
        log = told[run_id]
        kind = draw(
            st.sampled_from(
                ["chunk"] * 6 + ["replay", "all", "subscribed", "run", "message", "other", "accepted"]
            )
        )
        if kind == "chunk":
            frames.append(chunk_frame(run_id, draw(st.integers(1, len(log))), log))
        elif kind in ("replay", "all"):
            first = 1 if kind == "all" else draw(st.integers(1, len(log)))
            frames += [chunk_frame(run_id, seq, log) for seq in range(first, len(log) + 1)]
        elif kind == "subscribed":
            frames.append(subscribed(told, draw(WORDS)))
        elif kind == "run":
            type_ = draw(st.sampled_from(["run.queued", "run.started", "run.finished"]))
            row = record(run_id, log)
            if draw(st.booleans()) and run_id == "r2":
                row["resumedFrom"] = "r1"
            frames.append({"type": type_, "runId": run_id, "conversationId": "k1", "run": row})
        elif kind == "accepted":
            frames.append(
                {
                    "type": "run.accepted",
                    "runId": run_id,
                    "conversationId": "k1",
                    "messageId": "q",
                    "answerId": "x",
                }
            )
        elif kind == "message":
            message = {"id": draw(st.sampled_from("mn")), "conversationId": draw(st.sampled_from(["k1", "k1", "k2"])),
                       "role": "assistant", "content": draw(WORDS), "runId": run_id, "superseded": draw(st.booleans())}  # fmt: skip
            frames.append(
                {"type": "message.created", "conversationId": message["conversationId"], "message": message}
            )
        else:
            frames.append(
                draw(
                    st.sampled_from(
                        [
                            {"type": "presence.changed", "users": [{"userId": "u1", "name": "A"}]},
                            {"type": "activity.recorded", "id": "1", "activityType": "asked"},
                            {"type": "activity.recorded", "id": "2", "activityType": "asked"},
                            {"type": "conversation.updated", "conversation": {"id": "k1", "title": "New"}},
                            {"type": "conversation.updated", "conversation": {"id": "k2", "title": "Other"}},
                            {"type": "invented.tomorrow", "conversationId": "k1"},
                            {"type": "error", "code": "c", "message": "m"},
                        ]
                    )
                )
            )
    return frames


TAKEOVER = [
    _meta("started", conversationId="k1", agentId="a", messageId="answer"),
    _chunk("content", "kept"),
    _chunk("tool_call", {"toolId": "t1", "toolName": "n", "input": {}, "status": "RUNNING"}),
    _chunk("content", "lost"),
    _meta("resumed", epoch=2),
    _meta("reset", keepSeq=2),
    _chunk("content", " anew"),
    _meta("complete", tokenUsage=USAGE, messageId="answer"),
]


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(frames=conversations())
@example(frames=[subscribed({}), *(chunk_frame("r1", seq, TAKEOVER) for seq in range(1, 9))])
@example(
    frames=[
        subscribed({}),
        *(chunk_frame("r1", seq, TAKEOVER) for seq in (1, 2, 5, 2, 3, 4, 5, 6, 6, 8, 7, 8)),
    ]
)
def test_it_reads_frames_as_the_browser_does(browser: Callable[[Frames], JSON], frames: Frames) -> None:
    assert python(frames) == browser(frames)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(log=logs(), data=st.data())
def test_it_comes_to_the_same_however_the_log_is_told(log: Frames, data: st.DataObject) -> None:
    """R1, R4, R5: any order, any doubles; in the end a replay from where it stands."""
    straight, crooked = ConversationView("k1"), ConversationView("k1")
    for seq in range(1, len(log) + 1):
        straight.apply(chunk_frame("r1", seq, log))
    for seq in data.draw(st.lists(st.integers(1, len(log)), max_size=30)):
        crooked.apply(chunk_frame("r1", seq, log))
    known = crooked.runs["r1"].last_seq if "r1" in crooked.runs else 0
    for seq in range(known + 1, len(log) + 1):
        crooked.apply(chunk_frame("r1", seq, log))
    assert _run(crooked.runs["r1"]) == _run(straight.runs["r1"])
