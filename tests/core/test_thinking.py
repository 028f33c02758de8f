"""Thinking tags cut anywhere, and the confidence of the whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.confidence import confidence
from nexus_core.thinking import ThinkingSplitter

PIECES = st.sampled_from(
    [
        "<thinking>",
        "</thinking>",
        "<think>",
        "</think>",
        "<",
        ">",
        "</",
        "<th",
        "a",
        "think",
        " ",
        "\n",
        "<b>",
        "é😀",
    ]
)


def split(deltas: list[str]) -> tuple[list[tuple[str, str]], str, str]:
    """Pieces with neighbours of one kind joined, and the two texts."""
    splitter = ThinkingSplitter()
    pieces = [piece for delta in deltas for piece in splitter.feed(delta)] + splitter.finish()
    joined: list[tuple[str, str]] = []
    for kind, text in pieces:
        if joined and joined[-1][0] == kind:
            joined[-1] = (kind, joined[-1][1] + text)
        else:
            joined.append((kind, text))
    of = {kind: "".join(t for k, t in pieces if k == kind) for kind in ("text", "reasoning")}
    return joined, of["text"], of["reasoning"]


@given(st.lists(PIECES, max_size=14).map("".join), st.data())
def test_it_gives_the_same_wherever_it_is_cut(text, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=12)))
    deltas = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(deltas) == split([text])
    assert split(list(text)) == split([text])


@pytest.mark.parametrize(
    ("text", "visible", "thought"),
    [
        ("plain", "plain", ""),
        ("<thinking>deep</thinking>answer", "answer", "deep"),
        ("a <think>b</think> c <thinking>d</thinking> e", "a  c  e", "bd"),
        ("<think>never closed", "", "never closed"),
        ("a < b and <thinner>", "a < b and <thinner>", ""),
        ("<think>x </thinking> y</think>z", "z", "x </thinking> y"),
        ("</think> stays", "</think> stays", ""),
    ],
)
def test_it_takes_thinking_out_of_the_text(text, visible, thought):
    assert split([text])[1:] == (visible, thought)


def test_it_holds_back_no_more_than_what_could_be_a_tag():
    splitter = ThinkingSplitter()
    assert splitter.feed("Hello <thi") == [("text", "Hello ")]
    assert splitter.feed("s is text") == [("text", "<this is text")]
    assert splitter.feed("a <b> c") == [("text", "a <b> c")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0.7),
        ("It rains because of clouds.", 0.8),
        ("See [1].", 0.8),
        ("It might rain.", 0.6),
        ("Therefore it might rain [2].", 0.8),
        ("THUS [12]", 0.9),
        ("[a] (1)", 0.7),
    ],
)
def test_it_rates_confidence_by_the_documents_rule(text, value):
    assert confidence(text) == value
