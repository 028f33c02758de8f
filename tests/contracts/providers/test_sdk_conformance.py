"""Our reading of each wire equals that of the provider's own SDK, on the same bytes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import anthropic
import ollama
import openai
import orjson
import pytest
from google import genai
from google.genai import types

from nexus_core.messages import ToolCallPart

from .playing import KEY, Heard, hear, provider_at, request_for
from .transcripts import TRANSCRIPTS, Transcript
from .wire_server import Answer, WireServer, serving


@dataclass(slots=True)
class Read:
    """What was read from a stream: all that both sides can tell."""

    text: str = ""
    reasoning: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    total: int = 0
    model: str = ""


async def by_anthropic(server: WireServer) -> Read:
    out = Read()
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=server.address, max_retries=0) as client:
        ask = [{"role": "user", "content": "x"}]
        async with client.messages.stream(model="claude-sonnet-5-5", max_tokens=9, messages=ask) as stream:  # type: ignore[arg-type]
            async for event in stream:
                if event.type == "text":
                    out.text += event.text
                elif event.type == "thinking":
                    out.reasoning += event.thinking
            message = await stream.get_final_message()
    for block in message.content:
        if block.type == "tool_use":
            out.calls.append((block.name, block.input))
        elif block.type == "thinking":
            out.signatures.append(block.signature)
    usage = message.usage
    out.total = usage.input_tokens + usage.output_tokens
    out.total += (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
    out.model = message.model
    return out


async def by_openai_responses(server: WireServer) -> Read:
    out = Read()
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.address}/v1", max_retries=0) as client:
        stream = await client.responses.create(model="gpt-6.1-sol", input="x", stream=True)
        async for event in stream:
            match event.type:
                case "response.output_text.delta":
                    out.text += event.delta
                case "response.reasoning_summary_text.delta":
                    out.reasoning += event.delta
                case "response.completed" | "response.incomplete":
                    assert event.response.usage is not None
                    out.total = event.response.usage.total_tokens
                    out.model = event.response.model
                    for item in event.response.output:
                        if item.type == "function_call":
                            out.calls.append((item.name, orjson.loads(item.arguments)))
                        elif item.type == "reasoning" and item.encrypted_content:
                            out.signatures.append(item.encrypted_content)
    return out


async def by_openai_chat(server: WireServer) -> Read:
    out = Read()
    pieces: dict[int, list[str]] = {}
    names: dict[int, str] = {}
    async with openai.AsyncOpenAI(api_key=KEY, base_url=f"{server.address}/v1", max_retries=0) as client:
        stream = await client.chat.completions.create(
            model="deepseek-v4", messages=[{"role": "user", "content": "x"}], stream=True
        )
        async for chunk in stream:
            out.model = chunk.model
            if chunk.usage:
                out.total = chunk.usage.total_tokens
            for choice in chunk.choices:
                out.text += choice.delta.content or ""
                out.reasoning += getattr(choice.delta, "reasoning_content", None) or ""
                for call in choice.delta.tool_calls or ():
                    assert call.function is not None
                    names.setdefault(call.index, call.function.name or "")
                    pieces.setdefault(call.index, []).append(call.function.arguments or "")
    out.calls = [(names[i], orjson.loads("".join(pieces[i]))) for i in sorted(names)]
    return out


async def by_genai(server: WireServer) -> Read:
    out = Read()
    options = types.HttpOptions(
        base_url=server.address, api_version="v1beta", retry_options=types.HttpRetryOptions(attempts=1)
    )
    client = genai.Client(api_key=KEY, http_options=options)
    async for chunk in await client.aio.models.generate_content_stream(
        model="gemini-3.8-flash", contents="x"
    ):
        out.model = chunk.model_version or out.model
        if chunk.usage_metadata:
            out.total = chunk.usage_metadata.total_token_count or out.total
        assert chunk.candidates
        assert chunk.candidates[0].content
        for part in chunk.candidates[0].content.parts or ():
            if part.function_call:
                out.calls.append((part.function_call.name or "", part.function_call.args))
            elif part.thought:
                out.reasoning += part.text or ""
            else:
                out.text += part.text or ""
            if part.thought_signature:
                import base64

                out.signatures.append(base64.b64encode(part.thought_signature).decode())
    await client.aio.aclose()
    return out


async def by_ollama(server: WireServer) -> Read:
    out = Read()
    client = ollama.AsyncClient(host=server.address)
    async for part in await client.chat(
        model="qwen3", messages=[{"role": "user", "content": "x"}], stream=True
    ):
        out.text += part.message.content or ""
        out.reasoning += part.message.thinking or ""
        out.calls += [(c.function.name, dict(c.function.arguments)) for c in part.message.tool_calls or ()]
        out.model = part.model or out.model
        if part.done:
            out.total = (part.prompt_eval_count or 0) + (part.eval_count or 0)
    await client._client.aclose()
    return out


SDKS = {
    "anthropic": by_anthropic,
    "openai": by_openai_responses,
    "deepseek": by_openai_chat,
    "google": by_genai,
    "ollama": by_ollama,
}


def as_read(heard: Heard) -> Read:
    stop = heard.stop
    signatures = []
    for part in stop.parts:
        data = getattr(part, "provider_data", None) or {}
        found = (data.get("block") or {}).get("signature") or (data.get("item") or {}).get(
            "encrypted_content"
        )
        signatures += [s for s in (found, data.get("thoughtSignature")) if s]
    assert stop.usage is not None
    return Read(
        heard.text,
        heard.reasoning,
        [(p.name, p.input) for p in stop.parts if isinstance(p, ToolCallPart)],
        signatures,
        stop.usage.total,
        stop.model,
    )


@pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda t: t.id)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_it_reads_what_the_sdk_reads(transcript: Transcript) -> None:
    pieces = [transcript.body[i : i + 37] for i in range(0, len(transcript.body), 37)]
    async with serving(Answer(pieces)) as server:
        theirs = await SDKS[transcript.provider](server)
        ours = as_read(
            await hear(provider_at(transcript.provider, server.address), request_for(transcript.provider))
        )
    if transcript.provider == "openai":  # we part the summaries, the SDK leaves that to its caller
        ours.reasoning = ours.reasoning.replace("\n\n", "")
    assert ours == theirs
