"""What we post equals what the SDK's own `create` sends for the same values: address, headers, body."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from typing import Any

import anthropic
import openai
import pytest

from nexus_core.messages import Message, TextPart, ToolResultPart, user
from nexus_core.providers.base import ModelRequest

from .playing import KEY, WEATHER, hear, provider_at, request_for
from .test_requests import IMAGE, RESULT, SCHEMA, tool_loop, transcript_of
from .wire_server import Answer, Seen, WireServer, serving


def requests(name: str) -> list[ModelRequest]:
    ask = request_for(name)
    return [
        ask,
        request_for(name, system="Say ☃ 'briefly'.", tools=[WEATHER], user="u-1", cache_key="c-1"),
        request_for(name, messages=[*tool_loop(name), user("And now?")], tools=[WEATHER], reasoning="high"),
        request_for(name, messages=[IMAGE], response_schema=SCHEMA, temperature=0.5, max_tokens=9),
        request_for(
            name, messages=[Message("tool", (ToolResultPart("gone", "weather", RESULT),)), user("Hm?")]
        ),
        request_for(
            name,
            messages=[m for i in range(20) for m in (user(f"{i}?"), Message("assistant", (TextPart("!"),)))],
        ),
    ]


async def by_the_sdk(name: str, server: WireServer, body: dict[str, Any]) -> None:
    """The values of `body` through `create`, which knows nothing of us."""
    client: Any
    if name == "anthropic":
        # Its likes may know only this header, so we send it to every address but Anthropic's own.
        said_twice = {"x-api-key": KEY}
        client = anthropic.AsyncAnthropic(
            api_key=KEY, base_url=server.address, max_retries=0, default_headers=said_twice
        )
        create = client.messages.create
    else:
        client = openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.address}/v1", max_retries=0)
        create = client.responses.create if name == "openai" else client.chat.completions.create
    known = set(inspect.signature(create).parameters)
    given = {key: value for key, value in body.items() if key in known}
    rest = {key: value for key, value in body.items() if key not in known}
    async with client:
        stream = await create(**given, extra_body=rest or None)
        await stream.close()


def headers_of(seen: Seen) -> dict[str, str]:
    """Without what names the body's length (its members may stand in another order), and what we set otherwise:
    the answer's encoding and how long we wait."""
    ours = ("content-length", "accept-encoding", "x-stainless-read-timeout", "x-stainless-timeout")
    return {key: value for key, value in seen.headers.items() if key not in ours}


@pytest.mark.filterwarnings("ignore:The model .* is deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", ["anthropic", "openai", "deepseek"])
async def test_it_sends_what_the_sdk_itself_would_send(name: str) -> None:
    for request in requests(name):
        async with serving(Answer([transcript_of(name).body])) as server:
            await hear(provider_at(name, server.address), request)
            (ours,) = server.seen
            await by_the_sdk(name, server, ours.body)
            _, theirs = server.seen
        assert ours.body == theirs.body
        assert (ours.method, ours.path) == (theirs.method, theirs.path)
        assert headers_of(ours) == headers_of(theirs)


@pytest.mark.parametrize("name", ["anthropic", "openai", "deepseek"])
async def test_it_closes_the_connection_when_nobody_reads_on(name: str) -> None:
    async with serving(Answer([transcript_of(name).body[:40]], end="stall")) as server:
        reading = asyncio.ensure_future(hear(provider_at(name, server.address), request_for(name)))
        while not server.seen:
            await asyncio.sleep(0)
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        async with asyncio.timeout(20):
            await server.closed_by_client.wait()
        assert len(server.seen) == 1
