"""How OpenAI-compatible servers differ from OpenAI in what they take. One row per provider that does.

A field that a server does not know is refused by some and ignored by others, so
the default is the plain protocol, and only what a server is known to take is added.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ReasoningStyle = Literal["none", "effort", "openrouter", "thinking", "enable_thinking"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """What to send to one server.

    Attributes:
        max_tokens: the name of the limit on the answer.
        usage_option: asks for usage by `stream_options` (others send it unasked).
        reasoning: how thinking is asked for: `reasoning_effort`, OpenRouter's
            `reasoning` object, `thinking: {"type": "enabled"}`, `enable_thinking: true`, or not at all.
        replays_reasoning: takes the thinking of the running tool loop back.
        schemas: takes a JSON Schema as `response_format`; else plain JSON is asked for,
            with the schema in the system prompt.
        short_ids: tool call ids must be nine letters and digits (Mistral).
        user_field: where the opaque end-user id goes; empty: nowhere.
    """

    max_tokens: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    usage_option: bool = True
    reasoning: ReasoningStyle = "none"
    replays_reasoning: bool = False
    schemas: bool = True
    short_ids: bool = False
    user_field: str = ""


_OWN_SERVER = Dialect(reasoning="effort", replays_reasoning=True)
_OPENAI = Dialect(max_tokens="max_completion_tokens", reasoning="effort", user_field="safety_identifier")
_EFFORT = Dialect(reasoning="effort")

DIALECTS: dict[str, Dialect] = {
    "openai": _OPENAI,
    "azure": Dialect(max_tokens="max_completion_tokens", reasoning="effort", user_field="user"),
    "github": _EFFORT,
    "groq": _EFFORT,
    "xai": _EFFORT,
    "cerebras": Dialect(max_tokens="max_completion_tokens", reasoning="effort"),
    "fireworks": _EFFORT,
    "together": _EFFORT,
    "nvidia": _EFFORT,
    "huggingface": _EFFORT,
    "perplexity": _EFFORT,
    "openrouter": Dialect(reasoning="openrouter", replays_reasoning=True, user_field="user"),
    "deepseek": Dialect(reasoning="thinking", replays_reasoning=True, schemas=False),
    "moonshot": Dialect(reasoning="thinking", replays_reasoning=True),
    "zai": Dialect(reasoning="thinking", replays_reasoning=True, schemas=False),
    "minimax": Dialect(replays_reasoning=True),
    "qwen": Dialect(reasoning="enable_thinking", replays_reasoning=True, schemas=False),
    "mistral": Dialect(usage_option=False, short_ids=True),
    "vllm": _OWN_SERVER,
    "lmstudio": _OWN_SERVER,
    "llamacpp": _OWN_SERVER,
}
PLAIN = Dialect()


def dialect_of(provider: str) -> Dialect:
    return DIALECTS.get(provider, PLAIN)
