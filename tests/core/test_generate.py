"""Text and objects without an agent."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel

from nexus_core import LLMError, Route, Usage, user
from nexus_core.errors import AuthenticationFailed, ObjectInvalid, Refused
from nexus_core.generate import generate_object, generate_text, stream_text
from nexus_core.models import MODELS, select_model
from nexus_core.providers.scripted import ScriptedProvider, say


class City(BaseModel):
    name: str
    size: Literal["small", "big"]


def route(*script) -> Route:
    return Route(ScriptedProvider(script), "m")


async def test_it_generates_text():
    given = route(say("Oslo.", usage=Usage(5, 1)))
    answer = await generate_text(given, "Capital?", system="Be brief.", max_tokens=9)
    assert (answer.value, answer.stop_reason, answer.usage) == ("Oslo.", "end", Usage(5, 1))
    (sent,) = given.provider.requests
    assert (sent.system, sent.max_tokens, sent.messages) == ("Be brief.", 9, (user("Capital?"),))


async def test_it_streams_text_and_raises():
    chunks = [c async for c in stream_text(route(say("a b")), "x")]
    assert {c.type for c in chunks} == {"content"}
    assert "".join(c.data for c in chunks) == "a b"
    with pytest.raises(AuthenticationFailed):
        await generate_text(route(AuthenticationFailed("no", status=401)), "x")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "Oslo", "size": "big"}',
        'Here you are:\n```json\n{"name": "Oslo", "size": "big"}\n```\nAnything else?',
        '<thinking>hm {</thinking>{"name": "Oslo", "size": "big"}',
    ],
)
async def test_it_generates_an_object(text):
    given = route(say(text))
    answer = await generate_object(given, City, "Capital?")
    assert answer.value == City(name="Oslo", size="big")
    (sent,) = given.provider.requests
    assert sent.response_schema["required"] == ["name", "size"]
    assert "JSON Schema" in sent.system


async def test_it_shows_a_model_what_is_wrong_and_asks_again():
    given = route(say('{"name": "Oslo"}'), say('{"name": "Oslo", "size": "big"}'))
    answer = await generate_object(given, City, "Capital?")
    assert answer.value.size == "big"
    assert "size: Field required" in given.provider.requests[1].messages[-1].text
    assert answer.usage.output > 4


async def test_it_gives_up_after_three_tries():
    with pytest.raises(ObjectInvalid, match="no valid City in 3 tries"):
        await generate_object(route(say("no"), say("{}"), say("[]")), City, "Capital?")
    assert issubclass(ObjectInvalid, LLMError)


async def test_it_says_when_the_model_declined():
    with pytest.raises(Refused):
        await generate_object(route(say("I cannot.", reason="refusal")), City, "Capital?")


def test_it_selects_a_model_by_tier():
    assert select_model("anthropic", "powerful") == "claude-opus-5-5"
    assert all({"fast", "balanced", "powerful"} == set(tiers) for tiers in MODELS.values())
    with pytest.raises(LookupError, match="Known: anthropic"):
        select_model("nobody")
