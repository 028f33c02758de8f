"""Splitting a byte stream into its messages: server-sent events and lines of JSON.

Only framing lives here, on bytes and without any knowledge of a provider. A
piece may be cut anywhere, also inside a line end or a UTF-8 character. This is
the hot path of every streamed answer (a few microseconds per event), hence the
shortcuts for the two shapes that providers send.
"""

from __future__ import annotations

MAX_EVENT = 16 * 1024 * 1024
"""Bytes that one unfinished event may hold before the stream is given up."""

Event = tuple[bytes, bytes]
"""`(event name, data)`; the name is empty where the server named none."""

_BOM = b"\xef\xbb\xbf"


class EventTooLarge(ValueError):
    """One event, or one line, is larger than `MAX_EVENT`."""


class _Splitter:
    """Holds back what is not finished yet; `_separator` ends a message."""

    __slots__ = ("_held", "_held_bytes")

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._held_bytes = 0

    def _hold(self, piece: bytes) -> None:
        if piece:
            self._held.append(piece)
            self._held_bytes += len(piece)
            if self._held_bytes > MAX_EVENT:
                raise EventTooLarge(f"an event of more than {MAX_EVENT} bytes")

    def _take(self, piece: bytes = b"") -> bytes:
        """What was held back, followed by `piece`; nothing is held any more."""
        if not self._held:
            return piece
        self._held.append(piece)
        whole = b"".join(self._held)
        self._held.clear()
        self._held_bytes = 0
        return whole


class SSESplitter(_Splitter):
    """`feed` bytes, get whole events; at the end of the stream call `finish`.

    As the standard says: LF, CR and CRLF end a line, an empty line ends an event,
    lines of `data` are joined by LF, comments and unknown fields are skipped, an
    event without `data` is none, a byte order mark at the start is dropped.
    """

    __slots__ = ("_after_cr", "_at_start")

    def __init__(self) -> None:
        super().__init__()
        self._after_cr = False
        self._at_start = True

    def feed(self, piece: bytes) -> list[Event]:
        """The events that `piece` completes, in order. Raises `EventTooLarge`."""
        if self._at_start:
            piece = self._without_mark(piece)
        if self._after_cr or b"\r" in piece:
            piece = self._with_lf_only(piece)
        if b"\n" not in piece:
            self._hold(piece)
            return []
        blocks = self._take(piece).split(b"\n\n")
        self._hold(blocks.pop())
        events = []
        for block in blocks:
            if block.startswith(b"data: ") and b"\n" not in block:
                events.append((b"", block[6:]))
            elif (event := _parse(block)) is not None:
                events.append(event)
        return events

    def finish(self) -> list[Event]:
        """The event that lacks its empty line, if there is one.

        The standard drops it. Some servers close right after their last event, so
        it is handed out, and the reader must find it whole: a cut one is not JSON.
        """
        event = _parse(self._take())
        return [] if event is None else [event]

    def _without_mark(self, piece: bytes) -> bytes:
        start = self._take(piece)
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._hold(start)
            return b""
        self._at_start = False
        return start.removeprefix(_BOM)

    def _with_lf_only(self, piece: bytes) -> bytes:
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        if piece.endswith(b"\r"):
            self._after_cr = True
        return piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _parse(block: bytes) -> Event | None:
    """The event of the lines of `block`, or None if they hold no data."""
    name, data = b"", None
    for line in block.split(b"\n"):
        if line.startswith(b"data:"):
            value = line[6:] if line[5:6] == b" " else line[5:]
            data = value if data is None else data + b"\n" + value
        elif line.startswith(b"event:"):
            name = line[7:] if line[6:7] == b" " else line[6:]
        elif line == b"data":
            data = b"" if data is None else data + b"\n"
        elif line == b"event":
            name = b""
    return None if data is None else (name, data)


class LineSplitter(_Splitter):
    """Newline-delimited JSON, in the same form: events without a name, empty lines skipped."""

    __slots__ = ()

    def feed(self, piece: bytes) -> list[Event]:
        if b"\n" not in piece:
            self._hold(piece)
            return []
        lines = self._take(piece).split(b"\n")
        self._hold(lines.pop())
        return [(b"", line) for line in lines if line.strip()]

    def finish(self) -> list[Event]:
        line = self._take()
        return [(b"", line)] if line.strip() else []
