"""The provider table: one row per provider, and one factory per wire.

A provider that speaks OpenAI's chat is one row and nothing else. Addresses are
presets: a host may let its operator override them.
"""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..addresses import AddressGuard
from .adapter import address_missing_message, key_missing_message
from .base import Provider, ProviderSpec, Wire

_PROBE_SECONDS = 0.3


def _compatible(
    name: str, label: str, base_url: str, *key_vars: str, price_id: str = "", sends_cache_key: bool = False
) -> ProviderSpec:
    return ProviderSpec(
        name, label, "openai-chat", base_url, key_vars, price_id=price_id, sends_cache_key=sends_cache_key
    )


def _own_server(name: str, label: str, base_url: str, base_url_var: str) -> ProviderSpec:
    return ProviderSpec(name, label, "openai-chat", base_url, base_url_var=base_url_var, free=True)


PROVIDERS: tuple[ProviderSpec, ...] = (
    ProviderSpec(
        "anthropic",
        "Anthropic",
        "anthropic",
        "https://api.anthropic.com",
        ("ANTHROPIC_API_KEY",),
        "ANTHROPIC_BASE_URL",
    ),
    ProviderSpec(
        "openai",
        "OpenAI",
        "openai-responses",
        "https://api.openai.com/v1",
        ("OPENAI_API_KEY",),
        "OPENAI_BASE_URL",
        sends_cache_key=True,
    ),
    ProviderSpec(
        "google",
        "Google Gemini",
        "gemini",
        "https://generativelanguage.googleapis.com",
        ("GOOGLE_API_KEY", "GOOGLE_GENERATIVE_AI_API_KEY", "GEMINI_API_KEY"),
        "GOOGLE_GEMINI_BASE_URL",
    ),
    ProviderSpec("ollama", "Ollama", "ollama", "http://127.0.0.1:11434", (), "OLLAMA_HOST", free=True),
    ProviderSpec(
        "local",
        "Local model",
        "local",
        free=True,
        note="small local model (SmolLM2-135M): chats, no tools",
    ),
    ProviderSpec("scripted", "Demo", "scripted", free=True, note="demo, rules, no AI"),
    ProviderSpec(
        "azure", "Azure OpenAI", "azure-chat", "", ("AZURE_OPENAI_API_KEY",), "AZURE_OPENAI_ENDPOINT"
    ),
    _compatible("groq", "Groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    _compatible("mistral", "Mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    _compatible("deepseek", "DeepSeek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"),
    _compatible("xai", "xAI", "https://api.x.ai/v1", "XAI_API_KEY", price_id="x-ai"),
    _compatible(
        "cohere", "Cohere", "https://api.cohere.com/compatibility/v1", "COHERE_API_KEY", "CO_API_KEY"
    ),
    _compatible("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
    _compatible("together", "Together AI", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
    _compatible("fireworks", "Fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
    _compatible("cerebras", "Cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    _compatible("perplexity", "Perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY"),
    _compatible(
        "moonshot",
        "Moonshot AI",
        "https://api.moonshot.ai/v1",
        "MOONSHOT_API_KEY",
        price_id="moonshotai",
        sends_cache_key=True,
    ),
    _compatible(
        "qwen",
        "Qwen",
        "https://dashscope.aliyuncs.com/compatible-mode/v1",
        "DASHSCOPE_API_KEY",
        "QWEN_API_KEY",
    ),
    _compatible("nvidia", "NVIDIA", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"),
    _compatible(
        "huggingface",
        "Hugging Face",
        "https://router.huggingface.co/v1",
        "HF_TOKEN",
        "HUGGINGFACE_API_KEY",
        price_id="huggingface_together",
    ),
    _compatible("github", "GitHub Models", "https://models.github.ai/inference", "GITHUB_TOKEN"),
    _compatible("zai", "Z.ai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
    _compatible("minimax", "MiniMax", "https://api.minimax.io/v1", "MINIMAX_API_KEY"),
    _compatible("sambanova", "SambaNova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    _compatible("novita", "Novita", "https://api.novita.ai/openai", "NOVITA_API_KEY"),
    _compatible("baseten", "Baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY"),
    _own_server("vllm", "vLLM", "http://127.0.0.1:8000/v1", "VLLM_BASE_URL"),
    _own_server("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", "LMSTUDIO_BASE_URL"),
    _own_server("llamacpp", "llama.cpp", "http://127.0.0.1:8080/v1", "LLAMACPP_BASE_URL"),
)
BY_NAME: dict[str, ProviderSpec] = {spec.name: spec for spec in PROVIDERS}

Factory = Callable[..., Provider]


def _adapter(module: str, cls: str) -> Factory:
    """A wire over HTTP; its module is imported when the first such provider is made."""

    def make(
        spec: ProviderSpec, *, key: str | None, base_url: str, guard: AddressGuard | None = None, **_: Any
    ) -> Provider:
        made = getattr(importlib.import_module(f".{module}", __package__), cls)
        return made(spec, key=key, base_url=base_url, guard=guard)  # type: ignore[no-any-return]

    return make


def _local(spec: ProviderSpec, *, data_dir: Path | None = None, **_: Any) -> Provider:
    from .local import LocalProvider

    return LocalProvider(spec, data_dir=data_dir)


def _scripted(spec: ProviderSpec, **options: Any) -> Provider:
    made = importlib.import_module(".scripted", __package__).ScriptedProvider
    for unused in ("key", "base_url", "data_dir", "guard"):
        options.pop(unused, None)
    return made(**options)  # type: ignore[no-any-return]


wires: dict[Wire, Factory] = {
    "anthropic": _adapter("anthropic", "AnthropicProvider"),
    "openai-responses": _adapter("openai_responses", "OpenAIResponsesProvider"),
    "openai-chat": _adapter("openai_chat", "OpenAIChatProvider"),
    "azure-chat": _adapter("openai_chat", "OpenAIChatProvider"),
    "gemini": _adapter("gemini", "GeminiProvider"),
    "ollama": _adapter("ollama", "OllamaProvider"),
    "local": _local,
    "scripted": _scripted,
}


def create_provider(
    spec: ProviderSpec,
    *,
    key: str | None = None,
    base_url: str | None = None,
    data_dir: str | Path | None = None,
    guard: AddressGuard | None = None,
    **options: Any,
) -> Provider:
    """A provider that is ready to stream. Cheap: connections are shared, see clients.py.

    `key` and `base_url` (falling back to the row's) are the host's to find, for instance by
    `resolve_key` and `resolve_base_url`. A missing key is told by `stream()`, as `KeyMissing`.
    `data_dir` is where the local model keeps its files; `guard` says which addresses may be connected to
    (`None`: all); `options` go to the scripted provider.
    """
    return wires[spec.wire](
        spec,
        key=key,
        base_url=base_url or spec.base_url,
        data_dir=Path(data_dir) if data_dir is not None else None,
        guard=guard,
        **options,
    )


def resolve_key(spec: ProviderSpec, env: Mapping[str, str]) -> str | None:
    """The key that the environment holds for this provider: the first of its variables that is set."""
    return next((env[name] for name in spec.key_vars if env.get(name)), None)


def resolve_base_url(spec: ProviderSpec, env: Mapping[str, str]) -> str:
    """The address that the environment sets for this provider, else the row's; it may be empty (Azure)."""
    return (env.get(spec.base_url_var) if spec.base_url_var else None) or spec.base_url


async def probe(
    spec: ProviderSpec,
    *,
    key: str | None = None,
    base_url: str | None = None,
    data_dir: str | Path | None = None,
) -> tuple[bool, str]:
    """Whether the provider could be used now, and if not why, in words for a person. No request is spent.

    Keys are looked for, not tried; a server on the own machine must take a
    connection within 300 ms; the local model must be installed.
    """
    address = base_url or spec.base_url
    if spec.key_vars and not key:
        return False, key_missing_message(spec)
    if spec.wire == "scripted":
        return True, ""
    if spec.wire == "local":
        from .local import NOT_INSTALLED
        from .local_server import installed

        return (True, "") if await asyncio.to_thread(installed) else (False, NOT_INSTALLED)
    if not address:
        return False, address_missing_message(spec)
    if spec.free:
        provider: Any = create_provider(spec, key=key, base_url=address)
        if not await _takes_connections(provider.base_url):
            return False, provider.unreachable_message()
    return True, ""


async def _takes_connections(address: str) -> bool:
    parts = urlsplit(address)
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
            )
    except (OSError, ValueError, TimeoutError, socket.gaierror):
        return False
    writer.close()
    return True
