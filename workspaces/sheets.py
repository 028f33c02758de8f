"""CSV that is safe to open in a spreadsheet: a text that would be a formula stays a text [S14]."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A cell that begins so is a formula to a spreadsheet."""


def cell(value: object) -> str:
    """Nothing is empty, truth is `true` or `false`, a text that begins like a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    return f"'{text}" if isinstance(value, str) and text.startswith(RISKY) else text


def lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV, defused."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue()
