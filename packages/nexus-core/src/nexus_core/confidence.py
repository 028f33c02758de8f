"""Confidence by the documents' rule [C3]: a word count, not a probability, over the whole answer at its end."""

from __future__ import annotations

import re

_EVIDENCE = re.compile(r"because|therefore|thus", re.IGNORECASE)
_CITATION = re.compile(r"\[\d+\]")
_QUALIFIER = re.compile(r"might|perhaps|possibly", re.IGNORECASE)


def confidence(text: str) -> float:
    """0.7, +0.1 with evidence words, +0.1 with citations like `[1]`, −0.1 with qualifiers; within 0 and 1."""
    tenths = 7 + bool(_EVIDENCE.search(text)) + bool(_CITATION.search(text)) - bool(_QUALIFIER.search(text))
    return max(0, min(10, tenths)) / 10
