"""Chunks and history to JSON and back; money; SSE."""

from __future__ import annotations

import json

import pytest

from nexus_core import Cost, Usage
from nexus_core.chunks import (
    ContentChunk,
    ErrorChunk,
    MetadataChunk,
    ReasoningChunk,
    ToolCallChunk,
    from_wire,
    to_wire,
)
from nexus_core.messages import (
    ImagePart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
    part_from_json,
    part_to_json,
)
from nexus_core.sse import encode_chunk
from nexus_core.usage import pico_to_usd

CHUNKS = [
    (ContentChunk("Hällo\n", None, 5), "Hällo\n"),
    (ContentChunk("Big", "headline", 5), {"section": "headline", "content": "Big"}),
    (ReasoningChunk("hm", 5), "hm"),
    (
        ToolCallChunk("id", "add", {"a": 1}, "COMPLETED", 0, None, 3, 5),
        {
            "toolId": "id",
            "toolName": "add",
            "input": {"a": 1},
            "status": "COMPLETED",
            "result": 0,
            "durationMs": 3,
        },
    ),
    (MetadataChunk("retrying", {"attempt": 2}, 5), {"status": "retrying", "attempt": 2}),
    (ErrorChunk("no", "x", True, 5), {"message": "no", "code": "x", "retryable": True}),
]


@pytest.mark.parametrize(("chunk", "data"), CHUNKS)
def test_it_has_the_documents_shape_and_comes_back(chunk, data):
    wire = to_wire(chunk)
    assert wire == {"type": chunk.type, "data": data, "timestamp": 5}
    again = from_wire(json.loads(json.dumps(wire)))
    assert again == chunk
    assert again.timestamp == 5


def test_it_refuses_what_is_no_chunk():
    with pytest.raises(ValueError, match="not a chunk: type 'cursor'"):
        from_wire({"type": "cursor", "data": "x", "timestamp": 1})
    with pytest.raises(ValueError, match="timestamp"):
        from_wire({"type": "content", "data": "x"})


def test_it_writes_sse_that_a_plain_reader_takes():
    event = encode_chunk(ContentChunk("a\nb", None, 5), 7)
    assert event == b'id: 7\ndata: {"type":"content","data":"a\\nb","timestamp":5}\n\n'


@pytest.mark.parametrize(
    "part",
    [
        TextPart("x", {"sig": 1}, "gemini"),
        ReasoningPart("hm", "anthropic", {"signature": "s"}),
        ToolCallPart("c", "add", {"a": 1}, "openai", {"id": "fc"}),
        ToolResultPart("c", "add", "1", True),
    ],
)
def test_it_keeps_parts_over_a_checkpoint(part):
    assert part_from_json(json.loads(json.dumps(part_to_json(part)))) == part


def test_it_keeps_no_image_bytes_in_checkpoints():
    with pytest.raises(ValueError, match="file references"):
        part_to_json(ImagePart(b"x", "image/png"))


@pytest.mark.parametrize(
    ("pico", "usd"), [(37_500, "0.0000000375"), (0, "0"), (10**12, "1"), (None, None), (-5 * 10**11, "-0.5")]
)
def test_it_writes_money_exactly(pico, usd):
    assert pico_to_usd(pico) == usd


def test_it_adds_usage_and_keeps_unknown_money_unknown():
    total = Usage(1, 2, 3, 4, 5, 6) + Usage(1, estimated=True)
    assert total.to_wire() == {
        "input": 2, "output": 2, "cacheRead": 3, "cacheWrite": 9, "reasoning": 6, "total": 22,
    }  # fmt: skip
    assert total.estimated
    assert (Cost(1, 2) + Cost(None, 1)).to_wire()["total"] is None
