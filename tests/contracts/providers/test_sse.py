"""The splitter of server-sent events, against the standard's own algorithm and any cuts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nexus_core.providers import sse
from nexus_core.providers.sse import Event, EventTooLarge, LineSplitter, SSESplitter


def by_the_standard(stream: bytes) -> list[Event]:
    """The WHATWG algorithm, line by line over the whole stream, without any shortcut."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    events: list[Event] = []
    name, data = b"", None
    for line in text.split(b"\n")[:-1]:
        if not line:
            if data is not None:
                events.append((name, data))
            name, data = b"", None
            continue
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data = value if data is None else data + b"\n" + value
        elif field == b"event":
            name = value
    return events


def split(stream: bytes, cuts: list[int]) -> list[Event]:
    splitter, out, start = SSESplitter(), [], 0
    for cut in [*sorted(min(c, len(stream)) for c in cuts), len(stream)]:
        out += splitter.feed(stream[start:cut])
        start = cut
    return out


values = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
field_lines = st.one_of(
    values.map(lambda v: f"data: {v}"),
    values.map(lambda v: f"data:{v}"),
    values.map(lambda v: f"event: {v}"),
    values.map(lambda v: f": {v}"),
    st.sampled_from(["", "", "data", "event", "id: 3", "retry: 5", "strange", "data:  two spaces"]),
)
streams = st.lists(st.tuples(field_lines, st.sampled_from(["\n", "\r\n", "\r"])), max_size=30).map(
    lambda rows: "".join(line + end for line, end in rows).encode()
)


@given(streams, st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_it_splits_as_the_standard_says_wherever_it_is_cut(
    stream: bytes, cuts: list[int], mark: bool
) -> None:
    if mark:
        stream = b"\xef\xbb\xbf" + stream
    assert split(stream, cuts) == by_the_standard(stream)
    assert split(stream, list(range(len(stream)))) == by_the_standard(stream)


@given(
    st.lists(st.dictionaries(values, values, max_size=3), max_size=10),
    st.lists(st.integers(0, 300), max_size=8),
)
def test_it_splits_lines_of_json_wherever_they_are_cut(
    objects: list[dict[str, str]], cuts: list[int]
) -> None:
    import orjson

    rows = [orjson.dumps(o) for o in objects]
    stream = b"\n".join(rows)  # the last line without its end
    splitter, out, start = LineSplitter(), [], 0
    for cut in [*sorted(min(c, len(stream)) for c in cuts), len(stream)]:
        out += splitter.feed(stream[start:cut])
        start = cut
    assert [data for _, data in out + splitter.finish()] == rows


def test_it_hands_out_an_event_that_lacks_its_empty_line_only_at_the_end() -> None:
    splitter = SSESplitter()
    assert splitter.feed(b"data: [DONE]\n") == []
    assert splitter.finish() == [(b"", b"[DONE]")]
    assert splitter.finish() == []


@pytest.mark.parametrize("kind", [SSESplitter, LineSplitter])
def test_it_gives_up_an_event_without_end(kind: type[SSESplitter], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sse, "MAX_EVENT", 1000)
    splitter = kind()
    with pytest.raises(EventTooLarge):
        for _ in range(200):
            splitter.feed(b"data: no end of it")


def test_it_does_not_slow_down_with_the_size_of_an_event() -> None:
    """A megabyte that drips in is joined once, not once per piece."""
    splitter = SSESplitter()
    for _ in range(100_000):
        assert splitter.feed(b"x" * 10) == []
    assert splitter._held_bytes == 1_000_000
    assert len(splitter._held) > 1000
