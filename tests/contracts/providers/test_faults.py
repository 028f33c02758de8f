"""Every way in which a provider refuses comes out as our error, with the words for a person, after one request."""

from __future__ import annotations

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
)
from nexus_core.providers.faults import ProviderFault, retry_after_seconds
from nexus_core.providers.table import BY_NAME

from .failing import SERVER, failure, good
from .playing import KEY, MODELS, NATIVE, every_wire, hear, provider_at, request_for
from .wire_server import Answer, serving


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
async def test_each_request_of_a_client_is_like_its_first(name: str) -> None:
    async with serving(good(name)) as server:
        provider = provider_at(name, server.address)
        for text in ("Hello", "Hello", "Good evening to you"):
            await hear(provider, request_for(name, text))
        assert server.connections == 1
    first, second, other = server.seen
    assert (second.path, second.headers, second.body) == (first.path, first.headers, first.body)
    assert "Good evening to you" in orjson.dumps(other.body).decode()
    sizes = [seen.headers.pop("content-length", None) for seen in (first, other)]
    assert (other.headers, sizes[0] != sizes[1]) == (first.headers, True)


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
