"""Every wire's answers mean the same in our words, however the network cuts them."""

from __future__ import annotations

import pytest

from nexus_core.errors import StreamBroken
from nexus_core.providers.base import ModelEvent
from nexus_core.providers.faults import Where
from nexus_core.providers.table import BY_NAME

from .playing import Heard, hear, provider_at, request_for
from .transcripts import TRANSCRIPTS, Transcript, named
from .wire_server import Answer, End, serving

every_transcript = pytest.mark.parametrize("transcript", TRANSCRIPTS, ids=lambda t: t.id)


def check(heard: Heard, transcript: Transcript) -> None:
    assert heard.text == transcript.text
    assert heard.reasoning == transcript.reasoning
    stop = heard.stop
    assert stop.reason == transcript.reason
    assert stop.usage == transcript.usage
    assert heard.usages[-1] == transcript.usage
    assert tuple(stop.parts) == transcript.parts
    assert stop.model == transcript.model


@every_transcript
async def test_it_reads_an_answer(transcript: Transcript) -> None:
    async with serving(Answer([transcript.body])) as server:
        provider = provider_at(transcript.provider, server.address)
        check(await hear(provider, request_for(transcript.provider)), transcript)
        assert len(server.seen) == 1


@every_transcript
async def test_it_reads_an_answer_that_drips_byte_by_byte(transcript: Transcript) -> None:
    pieces = [transcript.body[i : i + 1] for i in range(len(transcript.body))]
    async with serving(Answer(pieces)) as server:
        provider = provider_at(transcript.provider, server.address)
        check(await hear(provider, request_for(transcript.provider)), transcript)


@every_transcript
async def test_it_uses_a_connection_again(transcript: Transcript) -> None:
    async with serving(Answer([transcript.body])) as server:
        for _ in range(3):  # also by another provider with the same key and address
            await hear(provider_at(transcript.provider, server.address), request_for(transcript.provider))
        assert (len(server.seen), server.connections) == (3, 1)


def parsed(transcript: Transcript, pieces: list[bytes]) -> tuple[list[ModelEvent], object]:
    """Events and stop of an adapter's own parser, without a network."""
    adapter = provider_at(transcript.provider, "http://127.0.0.1:1")
    where = Where(transcript.provider, BY_NAME[transcript.provider].label, transcript.model)
    parser = adapter._parser(request_for(transcript.provider), where)  # type: ignore[attr-defined]
    splitter = adapter.splitter()  # type: ignore[attr-defined]
    out: list[ModelEvent] = []
    for piece in pieces:
        for name, data in splitter.feed(piece):
            parser.feed(name, data, out)
    return out, parser.stop()


@every_transcript
def test_it_means_the_same_wherever_it_is_cut_in_two(transcript: Transcript) -> None:
    whole = parsed(transcript, [transcript.body])
    for cut in range(len(transcript.body)):
        assert parsed(transcript, [transcript.body[:cut], transcript.body[cut:]]) == whole, cut


def said_by(transcript: Transcript) -> int:
    """After how many bytes the event with the text is whole."""
    ends = (b"\n",) if BY_NAME[transcript.provider].wire == "ollama" else (b"\n\n", b"\r\n\r\n")
    start = transcript.body.index("Grüezi".encode())
    return min(found + len(end) for end in ends if (found := transcript.body.find(end, start)) >= 0)


@pytest.mark.parametrize("end", ["fin", "rst", "whole"])
@pytest.mark.parametrize("transcript", [t for t in TRANSCRIPTS if t.name == "text"], ids=lambda t: t.id)
async def test_it_tells_every_cut_from_an_end(transcript: Transcript, end: End) -> None:
    """Cut after each byte: either the stop reason had come, then the answer is whole, or it is broken.

    What was said before the cut has been handed on; "whole" is the silent cut: a
    proper end of the body in the middle of the answer.
    """
    cuts = [*range(0, len(transcript.body), 3), len(transcript.body)]
    answers = [Answer([transcript.body[:cut]], end=end) for cut in cuts]
    whole = 0
    async with serving(*answers) as server:
        provider = provider_at(transcript.provider, server.address)
        for cut in cuts:
            heard = Heard()
            try:
                await hear(provider, request_for(transcript.provider), heard)
            except StreamBroken:
                assert transcript.text.startswith(heard.text)
                if end != "rst" and cut >= said_by(transcript):  # a reset may throw away what was sent
                    assert heard.text == transcript.text, f"lost at {cut}"
            else:
                whole += 1
                assert (heard.text, heard.stop.reason) == (transcript.text, transcript.reason)
                assert tuple(heard.stop.parts) == transcript.parts
        assert len(server.seen) == len(cuts)
    assert whole < len(cuts) / 2
    assert whole > 0 or end == "rst"


@every_transcript
async def test_it_survives_noise_between_events(transcript: Transcript) -> None:
    """Comments and empty lines, as proxies and keep-alives put them in."""
    if BY_NAME[transcript.provider].wire == "ollama":
        noisy = transcript.body.replace(b"\n", b"\n\n")
    else:
        blank = b"\r\n\r\n" if b"\r\n" in transcript.body else b"\n\n"
        noisy = b": hello" + blank + transcript.body.replace(blank, blank + b": ping" + blank)
    async with serving(Answer([noisy])) as server:
        provider = provider_at(transcript.provider, server.address)
        check(await hear(provider, request_for(transcript.provider)), transcript)


@pytest.mark.parametrize(
    "usage",
    [{}, {"output_tokens": -5}, {"output_tokens": 10**18}, {"output_tokens": "x"}, {"output_tokens": 7}],
)
async def test_it_does_not_believe_absurd_usage(usage: dict[str, object]) -> None:
    """One absurd or negative count, and none of the answer's counts is believed."""
    transcript = next(t for t in TRANSCRIPTS if t.id == "anthropic-text")
    start = {
        "type": "message_start",
        "message": {"id": "m", "model": "claude-sonnet-5-5", "usage": {"input_tokens": -3}},
    }
    body = (
        named(start)
        + transcript.body[transcript.body.index(b"event: content_block_start") :].split(
            b"event: message_delta"
        )[0]
        + named(
            {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage},
            {"type": "message_stop"},
        )
    )
    async with serving(Answer([body])) as server:
        heard = await hear(provider_at("anthropic", server.address), request_for("anthropic"))
    assert heard.text == "Grüezi"
    assert heard.stop.usage is None


async def test_it_replaces_half_a_surrogate_pair() -> None:
    """Some servers escape a character that was cut in two; half of it is no text anyone can store."""
    body = (
        b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}\n\n'
        b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"\\ud83d\\ude00 \\\\ud83d"},'
        b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    )
    async with serving(Answer([body])) as server:
        heard = await hear(provider_at("groq", server.address), request_for("groq"))
    assert heard.text == "a\ufffd😀 \\ud83d"
