"""CSV that is safe to open in a spreadsheet: a text that would be a formula stays a text [S14]."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

FORMULA = re.compile(r"[\s\ufeff\u200b-\u200d\u2060]*[=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n]")
"""A cell that begins so is a formula to a spreadsheet: they drop what cannot be seen, and some read full-width signs."""
NUMBER = re.compile(r"-?\d+(\.\d+)?")
"""No formula, although it may begin like one: money is exact because it is a text."""


def cell(value: object) -> str:
    """Nothing is empty, truth is `true` or `false`, a text that begins like a formula gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value)
    risky = isinstance(value, str) and FORMULA.match(text) and not NUMBER.fullmatch(text)
    return f"'{text}" if risky else text


def lines(rows: Iterable[Iterable[object]]) -> str:
    """The rows as CSV, defused."""
    buffer = io.StringIO()
    csv.writer(buffer).writerows([cell(value) for value in row] for row in rows)
    return buffer.getvalue()
