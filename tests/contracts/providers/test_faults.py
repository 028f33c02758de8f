"""Every way in which a provider fails comes out as our error, with the words for a person, after one request."""

from __future__ import annotations

import asyncio
import socket
import time
import traceback
from email.utils import formatdate

import orjson
import pytest

from nexus_core.errors import (
    AUTH_MESSAGE,
    CONTEXT_MESSAGE,
    RATE_MESSAGE,
    AuthenticationFailed,
    BadProviderRequest,
    ContextTooLong,
    KeyMissing,
    LLMError,
    ProviderUnavailable,
    RateLimited,
    StreamBroken,
)
from nexus_core.messages import ToolCallPart
from nexus_core.providers.base import TextDelta
from nexus_core.providers.faults import ProviderFault, retry_after_seconds
from nexus_core.providers.table import BY_NAME

from .playing import KEY, MODELS, Heard, hear, provider_at, request_for
from .transcripts import TRANSCRIPTS, Transcript, chat_chunk, lines, named, unnamed
from .wire_server import Answer, serving

NATIVE = ["anthropic", "openai", "deepseek", "google", "ollama"]
every_wire = pytest.mark.parametrize("name", NATIVE)
SERVER = "{label} API is experiencing issues. Please try again."


async def failure(name: str, *answers: Answer) -> LLMError:
    async with serving(*answers) as server:
        with pytest.raises(LLMError) as caught:
            await hear(provider_at(name, server.address), request_for(name))
        assert len(server.seen) == 1, "one request per stream: retries are the loop's"
    return caught.value


def refusal(status: int, error: object = None, **headers: str) -> Answer:
    body = orjson.dumps({"type": "error", "error": error or {"type": "some_error", "message": f"no {KEY}"}})
    return Answer(
        [body],
        status=status,
        headers={"Content-Type": "application/json", **{k.replace("_", "-"): v for k, v in headers.items()}},
    )


@every_wire
@pytest.mark.parametrize(
    ("status", "kind", "retryable"),
    [
        (400, BadProviderRequest, False),
        (401, AuthenticationFailed, False),
        (403, AuthenticationFailed, False),
        (404, BadProviderRequest, False),
        (408, ProviderUnavailable, True),
        (409, ProviderUnavailable, True),
        (413, BadProviderRequest, False),
        (422, BadProviderRequest, False),
        (429, RateLimited, True),
        (500, ProviderUnavailable, True),
        (502, ProviderUnavailable, True),
        (503, ProviderUnavailable, True),
        (504, ProviderUnavailable, True),
        (529, ProviderUnavailable, True),
        (302, ProviderUnavailable, True),
    ],
)
async def test_it_maps_a_status(name: str, status: int, kind: type[LLMError], retryable: bool) -> None:
    error = await failure(name, refusal(status, location="http://127.0.0.1:1/"))
    assert type(error) is kind
    assert (error.status, error.provider, error.model) == (status, name, MODELS[name])
    assert error.retryable is retryable
    assert error.sent
    label = BY_NAME[name].label
    if kind is ProviderUnavailable:
        assert error.message == SERVER.format(label=label)
    elif kind is AuthenticationFailed:
        assert error.message == AUTH_MESSAGE
    elif kind is RateLimited:
        assert error.message == RATE_MESSAGE
    else:
        assert MODELS[name] in error.message


@every_wire
async def test_it_keeps_the_key_out_of_what_it_raises(name: str) -> None:
    """The provider repeats the key in its message; nothing that hangs on the error may hold it."""
    error = await failure(name, refusal(400))
    told = "".join(traceback.format_exception(error)) + repr(vars(error)) + repr(error.cause)
    assert KEY not in told
    assert isinstance(error.cause, ProviderFault)
    assert error.cause.args == ("some_error no [key]",)
    assert error.__context__ is None
    assert error.__cause__ is None


@every_wire
@pytest.mark.parametrize(
    ("header", "least", "most"),
    [
        ("7", 7, 7),
        ("0.5", 0.5, 0.5),
        (None, 3500, 3601),
        ("-5", 0, 0),
        ("99999999", 99999999, 99999999),
    ],
    ids=["seconds", "fraction", "date", "negative", "absurd"],
)
async def test_it_reads_retry_after(name: str, header: str | None, least: float, most: float) -> None:
    """`None` stands for a date an hour from the test, not from its collection."""
    for status in (429, 529):
        header = header or formatdate(time.time() + 3600, usegmt=True)
        error = await failure(name, refusal(status, Retry_After=header))
        assert isinstance(error, RateLimited | ProviderUnavailable)
        assert error.retry_after is not None
        assert least <= error.retry_after <= most


def test_it_reads_what_providers_write_into_retry_after() -> None:
    now = 1_790_000_000.0
    assert retry_after_seconds({}) is None
    assert retry_after_seconds({"retry-after-ms": "250", "retry-after": "9"}) == 0.25
    assert retry_after_seconds({"retry-after": formatdate(now - 60, usegmt=True)}, now) == 0
    for nonsense in ("soon", "", "nan", "inf", "Wed, 99 Foo 2026"):
        assert retry_after_seconds({"retry-after": nonsense}, now) is None


async def test_it_reads_googles_delay_in_the_body() -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}]
    error = await failure(
        "google", refusal(429, {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": details})
    )
    assert isinstance(error, RateLimited)
    assert error.retry_after == 34.5


@pytest.mark.parametrize(
    ("name", "status", "error"),
    [
        (
            "anthropic",
            400,
            {
                "type": "invalid_request_error",
                "message": "prompt is too long: 210000 tokens > 200000 maximum",
            },
        ),
        ("anthropic", 413, {"type": "request_too_large", "message": "Request exceeds the maximum size"}),
        (
            "openai",
            400,
            {"type": "invalid_request_error", "code": "context_length_exceeded", "message": "Your input"},
        ),
        ("deepseek", 400, {"message": "This model's maximum context length is 131072 tokens."}),
        (
            "google",
            400,
            {
                "status": "INVALID_ARGUMENT",
                "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            },
        ),
        ("deepseek", 400, {"type": "exceed_context_size_error", "message": "request (6031 tokens) exceeds"}),
    ],
)
async def test_it_knows_a_message_that_is_too_long(name: str, status: int, error: object) -> None:
    caught = await failure(name, refusal(status, error))
    assert type(caught) is ContextTooLong
    assert caught.message == CONTEXT_MESSAGE


async def test_it_knows_googles_bad_key() -> None:
    caught = await failure(
        "google",
        refusal(400, {"status": "INVALID_ARGUMENT", "message": "API key not valid. Please pass a valid"}),
    )
    assert type(caught) is AuthenticationFailed


@pytest.mark.parametrize(
    ("name", "status", "error", "kind"),
    [
        ("openai", 429, {"code": "insufficient_quota", "message": "You exceeded your quota"}, RateLimited),
        ("deepseek", 402, {"message": "Insufficient Balance"}, BadProviderRequest),
        (
            "anthropic",
            400,
            {"type": "invalid_request_error", "message": "Your credit balance is too low"},
            BadProviderRequest,
        ),
    ],
)
async def test_it_does_not_retry_an_empty_account(
    name: str, status: int, error: object, kind: type[LLMError]
) -> None:
    caught = await failure(name, refusal(status, error))
    assert type(caught) is kind
    assert not caught.retryable
    assert "no credit left" in caught.message


async def test_it_says_how_to_get_a_model_that_ollama_lacks() -> None:
    body = b'{"error":"model \\"qwen3\\" not found, try pulling it first"}'
    caught = await failure("ollama", Answer([body], status=404))
    assert (
        str(caught)
        == caught.message
        == 'Ollama does not have the model "qwen3". Fetch it with `ollama pull qwen3`.'
    )


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
    async with serving(Answer(pieces, end="stall")) as server:
        heard = Heard()
        with pytest.raises((StreamBroken, ProviderUnavailable)) as caught:
            await hear(provider_at(name, server.address), request_for(name, timeout=0.2), heard)
        await asyncio.wait_for(server.closed_by_client.wait(), 5)
    assert caught.value.retryable
    assert bool(heard.text) is after_text


@every_wire
async def test_it_maps_a_refused_connection(name: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
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
        await asyncio.wait_for(server.closed_by_client.wait(), 1)


@pytest.mark.parametrize("name", [n for n in NATIVE if BY_NAME[n].key_vars])
async def test_it_says_which_variable_to_set(name: str) -> None:
    async with serving(Answer()) as server:
        with pytest.raises(KeyMissing) as caught:
            await hear(provider_at(name, server.address, key=None), request_for(name))
        assert server.seen == []
    assert BY_NAME[name].key_vars[0] in caught.value.message
    assert not caught.value.sent


async def test_it_says_in_whole_sentences_that_a_key_is_missing() -> None:
    with pytest.raises(KeyMissing) as caught:
        await hear(provider_at("anthropic", "http://127.0.0.1:1", key=None), request_for("anthropic"))
    assert caught.value.message == (
        "Anthropic has no key. Set ANTHROPIC_API_KEY or add a key in the admin under Provider keys."
    )


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
