"""Thinking that a model writes into its text, between tags, as reasoning of its own.

Models without a channel for thinking write `<thinking>…</thinking>` or
`<think>…</think>`. The tags may be cut anywhere across deltas, so whatever could be
the beginning of one is held back until it is known.
"""

from __future__ import annotations

from typing import Literal

Piece = tuple[Literal["text", "reasoning"], str]

_CLOSING = {"<thinking>": "</thinking>", "<think>": "</think>"}
_OPENING = tuple(_CLOSING)


class ThinkingSplitter:
    """Feed it deltas in order, then `finish()`; joined per kind, the pieces do not depend on the cuts."""

    def __init__(self) -> None:
        self._held = ""
        self._closing = ""
        """The tag that ends the current thinking; empty while in text."""

    def feed(self, delta: str) -> list[Piece]:
        if not self._held and not self._closing and "<" not in delta:
            return [("text", delta)] if delta else []
        buffer = self._held + delta
        pieces: list[Piece] = []
        while True:
            tags = (self._closing,) if self._closing else _OPENING
            at, tag = _first(buffer, tags)
            if tag:
                self._emit(pieces, buffer[:at])
                buffer = buffer[at + len(tag) :]
                self._closing = "" if self._closing else _CLOSING[tag]
                continue
            keep = _possible_tag(buffer, tags)
            self._emit(pieces, buffer[: len(buffer) - keep])
            self._held = buffer[len(buffer) - keep :]
            return pieces

    def finish(self) -> list[Piece]:
        """What was held back; thinking that was never closed is thinking to the end."""
        pieces: list[Piece] = []
        self._emit(pieces, self._held)
        self._held = ""
        return pieces

    def _emit(self, pieces: list[Piece], text: str) -> None:
        if text:
            pieces.append(("reasoning" if self._closing else "text", text))


def _first(text: str, tags: tuple[str, ...]) -> tuple[int, str]:
    found = [(at, tag) for tag in tags if (at := text.find(tag)) >= 0]
    return min(found) if found else (-1, "")


def _possible_tag(text: str, tags: tuple[str, ...]) -> int:
    """How many characters at the end of the text could begin one of the tags."""
    at = text.rfind("<")
    if at < 0:
        return 0
    tail = text[at:]
    return len(tail) if any(tag.startswith(tail) for tag in tags) else 0
