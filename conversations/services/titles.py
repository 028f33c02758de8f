"""Titles: made from the first message, without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..models import Upload

LONGEST = 60
TEMPORARY_TITLE = "Temporary chat"


def title_from(text: str, files: Sequence[Upload] = ()) -> str:
    """The first line without markdown marks, cut at a word: `"# Plan\\nmore"` → `"Plan"`."""
    for line in text.splitlines():
        plain = re.sub(r"^[#>\-*\s`]+|[`*_]+", "", line).strip()
        if not plain:
            continue
        plain = re.sub(r"\s+", " ", plain)
        if len(plain) <= LONGEST:
            return plain
        cut = plain[:LONGEST].rsplit(" ", 1)[0] if " " in plain[:LONGEST] else plain[:LONGEST]
        return cut.rstrip(",.;:") + "…"
    return files[0].name[:LONGEST] if files else "New conversation"
