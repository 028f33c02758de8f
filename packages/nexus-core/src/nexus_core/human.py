"""`call_human`: an agent asks a person a question and goes on with the answer.

The call waits like one that needs an approval; nothing is run. Its result is
`{"answer": …, "answeredBy": …}` (the name only where the host knows it).
"""

from __future__ import annotations

from typing import Any

from .errors import ToolError
from .tools import tool


@tool(asks_person=True)
async def call_human(question: str, options: list[str] | None = None) -> dict[str, Any]:
    """Ask the people in this conversation a question and wait for the answer.

    Use it when you lack a fact, a preference or a decision that only a person can give. The wait may be
    long: ask for everything you need at once, and only what you cannot find out yourself.

    Args:
        question: What you want to know, in one or two clear sentences.
        options: Answers to choose from, if there are a few. People may still answer in their own words.
    """
    raise ToolError("Nobody can be asked here.")
