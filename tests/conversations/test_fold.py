"""The fold: what a run's chunks amount to, also behind a reset."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from conversations.fold import fold, kept, visible_text
from nexus_core.chunks import Chunk, ContentChunk, MetadataChunk, ReasoningChunk, ToolCallChunk


def numbered(*chunks: Chunk) -> list[tuple[int, Chunk]]:
    return list(enumerate(chunks, 1))


def test_it_joins_text_and_keeps_the_order_in_which_things_began():
    log = numbered(
        MetadataChunk("started"),
        ReasoningChunk("Let me ", timestamp=1000),
        ReasoningChunk("look.", timestamp=2500),
        ToolCallChunk("t1", "search", {"q": "x"}, "RUNNING"),
        ToolCallChunk("t1", "search", {"q": "x"}, "COMPLETED", {"n": 3}, None, 12),
        ContentChunk("Three ", timestamp=4000),
        ContentChunk("found."),
    )
    parts = fold(log)
    assert [part["type"] for part in parts] == ["reasoning", "tool_call", "text"]
    assert parts[0]["text"] == "Let me look."
    assert parts[1]["result"] == {"n": 3} and parts[1]["status"] == "COMPLETED"
    assert visible_text(parts) == "Three found."


def test_it_measures_how_long_the_model_thought():
    log = numbered(ReasoningChunk("a", timestamp=1000), ContentChunk("b", timestamp=5200))
    assert fold(log)[0]["durationMs"] == 4200


def test_it_drops_what_a_reset_withdrew_and_nothing_else():
    log = numbered(
        MetadataChunk("started"),
        ContentChunk("kept "),
        ContentChunk("withdrawn"),
        ToolCallChunk("t1", "x", {}, "RUNNING"),
        MetadataChunk("resumed", {"epoch": 2}),
        MetadataChunk("reset", {"keepSeq": 2}),
        ContentChunk("and new"),
    )
    assert visible_text(fold(log)) == "kept and new"
    assert [seq for seq, _ in kept(log)] == [1, 2, 6, 7]


def test_it_keeps_sections_apart():
    log = numbered(ContentChunk("Big", "headline"), ContentChunk("small", "body"), ContentChunk("er", "body"))
    assert [(p["section"], p["text"]) for p in fold(log)] == [("headline", "Big"), ("body", "smaller")]


@given(st.text(min_size=1), st.lists(st.integers(min_value=0, max_value=200), max_size=8))
def test_it_gives_the_same_text_wherever_the_pieces_were_cut(text: str, cuts: list[int]):
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [ContentChunk(text[a:b]) for a, b in pairwise(edges)]
    assert visible_text(fold(numbered(*pieces))) == text
