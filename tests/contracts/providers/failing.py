"""A provider that fails: what a client makes of it, at its first request and at a later one."""

from __future__ import annotations

import pytest

from nexus_core.errors import LLMError

from .playing import hear, provider_at, request_for
from .transcripts import TRANSCRIPTS
from .wire_server import Answer, serving

SERVER = "{label} API is experiencing issues. Please try again."


async def failure(name: str, answer: Answer) -> LLMError:
    """The same for a client's first request and for one after a good one, which are built in different ways."""
    first, later = await _failure(name, answer), await _failure(name, answer, after=good(name))
    assert type(first) is type(later)
    assert told_of(first) == told_of(later)
    return later


def told_of(error: LLMError) -> dict[str, object]:
    told = {**vars(error), "cause": repr(error.cause)}
    if "retry_after" in told:
        told["retry_after"] = error.retry_after is not None  # of a date it is less each time
    return told


async def _failure(name: str, answer: Answer, *, after: Answer | None = None) -> LLMError:
    async with serving(*[one for one in (after, answer) if one is not None]) as server:
        provider = provider_at(name, server.address)
        if after is not None:
            await hear(provider, request_for(name))
        before = len(server.seen)
        with pytest.raises(LLMError) as caught:
            await hear(provider, request_for(name))
        assert len(server.seen) == before + 1, "one request per stream: retries are the loop's"
    return caught.value


def good(name: str) -> Answer:
    return Answer([next(t.body for t in TRANSCRIPTS if t.provider == name)])
