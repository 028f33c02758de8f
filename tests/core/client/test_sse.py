"""Server-sent events, cut anywhere."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from nexus_core.client.sse import Event, EventReader

WHOLE = ': connected\n\nid: 1\ndata: {"a": "grüß"}\n\n: ping\n\nid: 2\r\ndata: x\r\ndata: y\r\n\r\nid: 3\rdata:z\r\r'.encode()
EVENTS = [Event("1", '{"a": "grüß"}'), Event("2", "x\ny"), Event("3", "z")]


@given(st.lists(st.integers(0, len(WHOLE)), max_size=30))
def test_it_reads_the_same_events_however_they_are_cut(cuts: list[int]) -> None:
    at = sorted({0, len(WHOLE), *cuts})
    reader = EventReader()
    got = [event for a, b in pairwise(at) for event in reader.feed(WHOLE[a:b])]
    assert got == EVENTS


def test_it_gives_no_event_that_is_not_whole() -> None:
    reader = EventReader()
    assert list(reader.feed(b"id: 1\ndata: half")) == []
    assert list(reader.feed(b" and half\n")) == []
    assert list(reader.feed(b"\n")) == [Event("1", "half and half")]
