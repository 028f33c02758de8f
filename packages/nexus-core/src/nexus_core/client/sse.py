"""Reading server-sent events: lines of any cut, comments as signs of life."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """`id` is the last one that was told, "" before the first."""

    id: str
    data: str


class EventReader:
    """Feed it the bytes as they come; it gives the whole events in them. LF, CRLF and CR end a line."""

    def __init__(self) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._id = ""
        self._data: list[str] = []
        self._skip_lf = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        text = self._decode.decode(piece)
        if self._skip_lf and text:
            self._skip_lf = False
            text = text.removeprefix("\n")
        if text.endswith("\r"):
            self._skip_lf = True
        lines = (self._rest + text).replace("\r\n", "\n").replace("\r", "\n").split("\n")
        self._rest = lines.pop()
        for line in lines:
            event = self._line(line)
            if event is not None:
                yield event

    def _line(self, line: str) -> Event | None:
        if not line:
            data, self._data = self._data, []
            return Event(self._id, "\n".join(data)) if data else None
        if line.startswith(":"):
            return None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        return None
