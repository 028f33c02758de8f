"""What the names of models tell about what they accept, where a wrong field is a refused request.

Patterns, not lists: a model that appears tomorrow is taken for one of its family.
"""

from __future__ import annotations

import re

_CLAUDE_SAMPLED = re.compile(r"claude-(3|haiku-4|(sonnet|opus)-4(-[0-6])?(-\d{8})?$|instant|2)")
_CLAUDE_BUDGETED = re.compile(r"claude-(3-7|haiku-4-5|(sonnet|opus)-4(-[015])?(-\d{8})?$)")
_CLAUDE_PLAIN = re.compile(r"claude-(3-5|3-haiku|3-opus|3-sonnet|instant|2)")
_OPENAI_REASONING = re.compile(r"(^|/)(o\d|gpt-([5-9]|\d\d)|codex|gpt-oss)(?!.*-chat)")
_GEMINI = re.compile(r"(?:^|/)gemini-(\d+)(?:\.(\d+))?")


def claude_takes_temperature(model: str) -> bool:
    """Claude models up to 4.6; later ones are steered by effort alone and refuse it."""
    return _CLAUDE_SAMPLED.search(model) is not None


def claude_thinks_by_budget(model: str) -> bool:
    """Claude models from 3.7 to 4.5, whose thinking is switched on with a number of tokens."""
    return _CLAUDE_BUDGETED.search(model) is not None


def claude_thinks(model: str) -> bool:
    return _CLAUDE_PLAIN.search(model) is None


def openai_reasons(model: str) -> bool:
    """OpenAI's reasoning models: they take an effort and refuse a temperature."""
    return _OPENAI_REASONING.search(model) is not None


def gemini_version(model: str) -> float:
    """3.8 for `gemini-3.8-flash`; the newest there could be for a name without a version."""
    found = _GEMINI.search(model)
    return float(f"{found[1]}.{found[2] or 0}") if found else 99.0
