"""An answer that breaks off, fails or falls silent on its way, or whose reader leaves."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.errors import (
    AuthenticationFailed,
    ContextTooLong,
    LLMError,
    ProviderUnavailable,
    RateLimited,
    StreamBroken,
)
from nexus_core.messages import ToolCallPart
from nexus_core.providers.base import TextDelta
from nexus_core.providers.table import BY_NAME
from scripts.services import free_port

from .failing import SERVER, failure
from .playing import Heard, every_wire, hear, provider_at, request_for
from .transcripts import TRANSCRIPTS, Transcript, chat_chunk, lines, named, unnamed
from .wire_server import Answer, serving

IN_STREAM = {
    "anthropic": lambda: named(
        {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    ),
    "openai": lambda: named(
        {
            "type": "response.failed",
            "response": {"error": {"code": "server_error", "message": "The server had"}},
        }
    ),
    "deepseek": lambda: unnamed({"error": {"code": 502, "message": "Provider returned error"}}, end=b""),
    "google": lambda: unnamed(
        {"error": {"code": 503, "status": "UNAVAILABLE", "message": "overloaded"}}, end=b""
    ),
    "ollama": lambda: lines({"error": "an error was encountered while running the model"}),
}


@every_wire
@pytest.mark.parametrize("after_text", [False, True])
async def test_it_maps_an_error_inside_a_stream(name: str, after_text: bool) -> None:
    transcript = next(t for t in TRANSCRIPTS if t.provider == name)
    body = (first_words(transcript) if after_text else b"") + IN_STREAM[name]()
    async with serving(Answer([body])) as server:
        heard = Heard()
        with pytest.raises(ProviderUnavailable) as caught:
            await hear(provider_at(name, server.address), request_for(name), heard)
    assert caught.value.retryable
    assert caught.value.message == SERVER.format(label=BY_NAME[name].label)
    assert bool(heard.text) is after_text


def first_words(transcript: Transcript) -> bytes:
    """The answer up to and with its first visible text."""
    blank = (
        b"\n" if transcript.provider == "ollama" else b"\r\n\r\n" if b"\r\n" in transcript.body else b"\n\n"
    )
    end = transcript.body.index(blank, transcript.body.index(b"Ich schaue")) + len(blank)
    return transcript.body[:end]


@pytest.mark.parametrize(
    ("name", "body", "kind"),
    [
        (
            "anthropic",
            named({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}),
            RateLimited,
        ),
        (
            "anthropic",
            named({"type": "error", "error": {"type": "authentication_error", "message": "x"}}),
            AuthenticationFailed,
        ),
        ("openai", named({"type": "error", "code": "rate_limit_exceeded", "message": "x"}), RateLimited),
        (
            "openai",
            named({"type": "error", "error": {"code": "context_length_exceeded", "message": "x"}}),
            ContextTooLong,
        ),
        ("deepseek", b'event: error\ndata: {"code": 429, "message": "x"}\n\n', RateLimited),
        ("deepseek", unnamed(chat_chunk({"content": "a"}), chat_chunk({}, "error")), ProviderUnavailable),
    ],
)
async def test_it_tells_errors_inside_a_stream_apart(name: str, body: bytes, kind: type[LLMError]) -> None:
    async with serving(Answer([body])) as server:
        with pytest.raises(LLMError) as caught:
            await hear(provider_at(name, server.address), request_for(name))
    assert type(caught.value) is kind


@every_wire
async def test_it_maps_an_event_that_is_no_json(name: str) -> None:
    transcript = next(t for t in TRANSCRIPTS if t.provider == name)
    rest = b'{"broken": \n' if name == "ollama" else b'data: {"broken": \n\n'
    async with serving(Answer([first_words(transcript) + rest])) as server:
        heard = Heard()
        with pytest.raises(StreamBroken) as caught:
            await hear(provider_at(name, server.address), request_for(name), heard)
    assert caught.value.code == "stream_broken"
    assert heard.text == "Ich schaue "


@every_wire
@pytest.mark.parametrize("junk", [b"data: 5\n\n", b"data: []\n\n", b'data: {"type": []}\n\n', b"<html>\n\n"])
async def test_it_calls_a_stream_without_an_answer_broken(name: str, junk: bytes) -> None:
    if name == "ollama":
        junk = junk.removeprefix(b"data: ")
    assert type(await failure(name, Answer([junk]))) is StreamBroken


@every_wire
@pytest.mark.parametrize("after_text", [False, True])
async def test_it_gives_up_a_silent_stream(name: str, after_text: bool) -> None:
    transcript = next(t for t in TRANSCRIPTS if t.provider == name)
    pieces = [first_words(transcript)] if after_text else []
    patience = 3.0 if after_text else 0.5  # enough for a slow machine to bring the text
    async with serving(Answer(pieces, end="stall")) as server:
        heard = Heard()
        with pytest.raises((StreamBroken, ProviderUnavailable)) as caught:
            await hear(provider_at(name, server.address), request_for(name, timeout=patience), heard)
        await asyncio.wait_for(server.closed_by_client.wait(), 20)
    assert caught.value.retryable
    assert bool(heard.text) is after_text


@every_wire
async def test_it_maps_a_refused_connection(name: str) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(ProviderUnavailable) as caught:
        await hear(provider_at(name, address), request_for(name))
    assert caught.value.retryable
    assert not caught.value.sent, "nothing was sent, so nothing is charged"
    if name == "ollama":
        assert caught.value.message == (
            f"Ollama does not answer at {address}. Start it with `ollama serve` or set OLLAMA_HOST."
        )


@every_wire
async def test_it_maps_a_connection_that_is_lost_before_an_answer(name: str) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        with pytest.raises(ProviderUnavailable) as caught:
            await hear(provider_at(name, address), request_for(name))
        assert caught.value.sent, "the request was on its way: it may have been charged"
    finally:
        server.close()


@every_wire
@pytest.mark.parametrize("way", ["close", "cancel"])
async def test_it_closes_the_connection_when_the_reader_leaves(name: str, way: str) -> None:
    transcript = next(t for t in TRANSCRIPTS if t.provider == name)
    async with serving(Answer([first_words(transcript)], end="stall")) as server:
        stream = provider_at(name, server.address).stream(request_for(name))
        async for event in stream:
            if isinstance(event, TextDelta):
                break
        if way == "close":
            await stream.aclose()
        else:
            task = asyncio.ensure_future(anext(stream))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await asyncio.wait_for(server.closed_by_client.wait(), 20)


async def test_it_calls_bad_arguments_bad_and_keeps_them() -> None:
    body = unnamed(
        chat_chunk(
            {"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "weather", "arguments": '{"city'}}]}
        ),
        chat_chunk({}, "tool_calls"),
    )
    async with serving(Answer([body])) as server:
        heard = await hear(provider_at("deepseek", server.address), request_for("deepseek"))
    assert heard.stop.parts == (ToolCallPart("c1", "weather", {}, "deepseek", {"invalid_json": '{"city'}),)
