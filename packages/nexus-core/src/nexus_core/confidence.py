"""Confidence by the documents' rule [C3]: a word count, not a probability, over the whole answer at its end."""

from __future__ import annotations

import re

_EVIDENCE = ("because", "therefore", "thus")
_CITATION = re.compile(r"\[\d+\]")
_QUALIFIERS = ("might", "perhaps", "possibly")


def confidence(text: str) -> float:
    """0.7, +0.1 with evidence words, +0.1 with citations like `[1]`, −0.1 with qualifiers; within 0 and 1."""
    # Words looked for one by one: a pattern of all of them takes ten times as long, on the event loop.
    lower = text.lower()
    evidence = any(word in lower for word in _EVIDENCE)
    qualified = any(word in lower for word in _QUALIFIERS)
    tenths = 7 + evidence + bool(_CITATION.search(text)) - qualified
    return max(0, min(10, tenths)) / 10
