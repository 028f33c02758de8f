"""The contract of every row of the provider table; a new row is taken up by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nexus_core.errors import KeyMissing
from nexus_core.providers.base import ProviderSpec
from nexus_core.providers.ollama import host_address
from nexus_core.providers.scripted import ScriptedProvider
from nexus_core.providers.table import (
    BY_NAME,
    PROVIDERS,
    create_provider,
    probe,
    resolve_base_url,
    resolve_key,
    wires,
)

from .playing import KEY, WEATHER, based, hear, provider_at, request_for
from .transcripts import BY_WIRE
from .wire_server import Answer, serving

every_row = pytest.mark.parametrize("spec", PROVIDERS, ids=lambda s: s.name)
over_http = pytest.mark.parametrize("spec", [s for s in PROVIDERS if s.wire in BY_WIRE], ids=lambda s: s.name)
PATHS = {
    "anthropic": "/v1/messages",
    "openai-responses": "/v1/responses",
    "openai-chat": "/v1/chat/completions",
    "azure-chat": "/openai/v1/chat/completions",
    "gemini": "/v1beta/models/some-model:streamGenerateContent?alt=sse",
    "ollama": "/api/chat",
}
ASKED = {
    "anthropic", "openai", "google", "ollama", "local", "scripted", "azure", "groq", "mistral", "deepseek", "xai",
    "cohere", "openrouter", "together", "fireworks", "cerebras", "perplexity", "moonshot", "qwen", "nvidia",
    "huggingface", "github", "vllm", "lmstudio", "llamacpp",
}  # fmt: skip


def test_it_has_every_provider_that_was_asked_for() -> None:
    assert {s.name for s in PROVIDERS} >= ASKED
    assert len(BY_NAME) == len(PROVIDERS)


@every_row
def test_a_row_is_whole(spec: ProviderSpec) -> None:
    assert spec.wire in wires
    assert spec.label
    if spec.wire in ("local", "scripted"):
        assert spec.note
    elif spec.wire == "azure-chat":
        assert spec.base_url_var
    else:
        url = urlsplit(spec.base_url)
        assert url.hostname
        assert url.scheme == ("http" if spec.free else "https")
    assert bool(spec.key_vars) is not spec.free


@over_http
async def test_a_row_speaks_its_wire(spec: ProviderSpec) -> None:
    transcript = BY_WIRE[spec.wire](spec.name)
    async with serving(Answer([transcript.body])) as server:
        request = request_for(
            spec.name, model="some-model", tools=[WEATHER], system="Be brief.", max_tokens=99
        )
        heard = await hear(provider_at(spec.name, server.address), request)
        (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", PATHS[spec.wire])
    expected = {
        "anthropic": ("x-api-key", KEY),
        "gemini": ("x-goog-api-key", KEY),
        "azure-chat": ("api-key", KEY),
    }.get(spec.wire, ("authorization", f"Bearer {KEY}"))
    assert seen.headers[expected[0]] == expected[1]
    assert seen.body.get("model", "some-model") == "some-model"
    assert "weather" in repr(seen.body["tools"])
    assert "Be brief." in repr(seen.body)
    assert "99" in repr(seen.body)
    assert heard.text == transcript.text
    assert heard.reasoning == transcript.reasoning
    assert heard.stop.reason == "tool_calls"
    assert heard.stop.usage == transcript.usage
    assert tuple(heard.stop.parts) == transcript.parts


@every_row
async def test_a_row_says_what_is_missing(spec: ProviderSpec) -> None:
    if not spec.key_vars:
        return
    with pytest.raises(KeyMissing) as caught:
        await hear(create_provider(spec), request_for(spec.name))
    assert spec.key_vars[0] in caught.value.message
    available, reason = await probe(spec)
    assert not available
    assert reason == caught.value.message


def test_it_finds_keys_and_addresses_in_the_environment() -> None:
    google, ollama = BY_NAME["google"], BY_NAME["ollama"]
    assert resolve_key(google, {}) is None
    assert resolve_key(google, {"GOOGLE_API_KEY": "", "GOOGLE_GENERATIVE_AI_API_KEY": "b"}) == "b"
    assert resolve_key(google, {"GOOGLE_API_KEY": "a", "GOOGLE_GENERATIVE_AI_API_KEY": "b"}) == "a"
    assert resolve_key(ollama, {"GOOGLE_API_KEY": "a"}) is None
    assert resolve_base_url(google, {"GOOGLE_GEMINI_BASE_URL": "http://x"}) == "http://x"
    assert resolve_base_url(google, {}) == "https://generativelanguage.googleapis.com"
    for name, variable in (
        ("anthropic", "ANTHROPIC_BASE_URL"),
        ("openai", "OPENAI_BASE_URL"),
        ("ollama", "OLLAMA_HOST"),
    ):
        assert BY_NAME[name].base_url_var == variable


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("http://127.0.0.1:11434", "http://127.0.0.1:11434"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:9", "http://127.0.0.1:9"),
        (":11500", "http://127.0.0.1:11500"),
        ("gpu-box", "http://gpu-box:11434"),
        ("gpu-box:1/", "http://gpu-box:1"),
        ("https://ollama.example/api", "https://ollama.example:443/api"),
        ("http://gpu-box", "http://gpu-box:80"),
        ("[::1]:5", "http://[::1]:5"),
        ("[::1]", "http://[::1]:11434"),
    ],
)
def test_it_reads_ollama_host_as_ollama_does(host: str, address: str) -> None:
    assert host_address(host) == address


async def test_it_knows_whether_a_server_on_this_machine_answers() -> None:
    async with serving(Answer()) as server:
        for name in ("ollama", "vllm"):
            assert await probe(BY_NAME[name], base_url=based(name, server.address)) == (True, "")
        gone = server.address
    available, reason = await probe(BY_NAME["ollama"], base_url=gone)
    assert not available
    assert reason == f"Ollama does not answer at {gone}. Start it with `ollama serve` or set OLLAMA_HOST."
    assert await probe(BY_NAME["anthropic"], key="k") == (True, "")
    assert await probe(BY_NAME["scripted"]) == (True, "")
    available, reason = await probe(BY_NAME["azure"], key="k")
    assert not available
    assert "AZURE_OPENAI_ENDPOINT" in reason


async def test_azure_takes_an_endpoint_or_a_whole_address() -> None:
    transcript = BY_WIRE["azure-chat"]("azure")
    for end in ("", "/", "/openai/v1", "/openai/v1/"):
        async with serving(Answer([transcript.body])) as server:
            provider = create_provider(BY_NAME["azure"], key=KEY, base_url=server.address + end)
            await hear(provider, request_for("azure"))
            assert server.seen[0].path == "/openai/v1/chat/completions"


def test_it_makes_the_scripted_provider() -> None:
    assert isinstance(create_provider(BY_NAME["scripted"], key="x", data_dir="y"), ScriptedProvider)


def test_it_does_not_show_the_key() -> None:
    assert KEY not in repr(create_provider(BY_NAME["anthropic"], key=KEY))


def test_it_imports_no_sdk_before_one_is_needed() -> None:
    """They take seconds; a process that never calls a provider must not pay for them."""
    code = (
        "import sys, nexus_core.providers.table as t\n"
        "[t.create_provider(s, key='k', base_url='http://127.0.0.1:1') for s in t.PROVIDERS]\n"
        "print([m for m in ('anthropic', 'openai', 'google.genai', 'ollama', 'aiohttp', 'xllamacpp')"
        " if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path.cwd()
    )
    assert done.stdout.strip() == "[]"
