"""Token counts where a provider did not say: for cut streams and for servers without usage.

Counted with `bpe-openai` (o200k vocabulary, in the wheel, no network) where it is
installed, else four UTF-8 bytes to a token. Either way `Usage.estimated` is set.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
from collections.abc import Callable
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

from .messages import ImagePart, Part, ReasoningPart, TextPart, ToolCallPart, ToolResultPart
from .providers.base import ModelRequest
from .usage import Usage

TOKENS_PER_MESSAGE = 4
"""Role and separators that chat templates add."""
TOKENS_PER_IMAGE = 1500
"""About what a full-size image costs with the large providers."""


def count_tokens(text: str) -> int:
    """Tokens of a text, at least 1 for a text that is not empty."""
    return _counter()(text) if text else 0


def count_request(request: ModelRequest) -> int:
    """Prompt tokens of a request: system, tools, messages."""
    text = [request.system]
    images = 0
    for item in request.tools:
        text.append(f"{item.name} {item.description} {json.dumps(dict(item.input_schema))}")
    for message in request.messages:
        for part in message.parts:
            text.append(_text_of(part))
            images += isinstance(part, ImagePart)
    return (
        count_tokens("\n".join(text)) + TOKENS_PER_MESSAGE * len(request.messages) + TOKENS_PER_IMAGE * images
    )


def estimate_usage(request: ModelRequest, streamed_text: str) -> Usage:
    """Usage of a request whose provider said nothing."""
    return Usage(input=count_request(request), output=count_tokens(streamed_text), estimated=True)


def _text_of(part: Part) -> str:
    match part:
        case TextPart() | ReasoningPart():
            return part.text
        case ToolCallPart():
            return f"{part.name} {json.dumps(dict(part.input))}"
        case ToolResultPart():
            return part.content
        case _:
            return ""


async def ready() -> None:
    """Loads the vocabulary in a thread, which takes a moment the first time; a host calls it at its start."""
    if not _counter.cache_info().currsize:
        await asyncio.to_thread(_counter)


@cache
def _counter() -> Callable[[str], int]:
    try:
        count: Callable[[str], int] = _bindings().tokenizer_for_encoding("o200k_base").count
    except (ImportError, AttributeError):
        return lambda text: max(1, -(-len(text.encode("utf-8", "replace")) // 4))
    return lambda text: count(text.encode("utf-8", "replace").decode())


def _bindings() -> Any:
    """The compiled part of bpe-openai alone: its Python part reads four vocabularies a second time
    when it is imported, which takes half a second and 80 MiB more."""
    package = importlib.util.find_spec("bpe_openai")
    folders = package.submodule_search_locations if package else None
    files = [file for folder in folders or () for file in sorted(Path(folder).glob("_bindings*"))]
    compiled = [file for file in files if file.name.endswith(tuple(EXTENSION_SUFFIXES))]
    if not compiled:
        raise ImportError("bpe-openai is not installed")
    spec = importlib.util.spec_from_file_location("bpe_openai._bindings", compiled[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
