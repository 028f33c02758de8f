"""Token counts where a provider gave none."""

from __future__ import annotations

import subprocess
import sys

from nexus_core import estimate as counting
from nexus_core import user
from nexus_core.estimate import count_request, count_tokens, estimate_usage, ready
from nexus_core.messages import ImagePart, Message, TextPart, ToolCallPart, ToolResultPart
from nexus_core.providers.base import ModelRequest, ToolSchema


async def test_it_counts_with_the_vocabulary_and_without_the_packages_slow_part():
    await ready()
    assert count_tokens("hello world") == 2
    assert count_tokens("") == 0
    assert count_tokens("<|endoftext|>") > 1
    assert count_tokens("a\ud800b") >= 1
    code = "import sys; from nexus_core.estimate import count_tokens as c; print(c('hi'), 'bpe_openai' in sys.modules)"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "1 False\n"


def test_it_counts_four_bytes_as_one_without_the_vocabulary(monkeypatch):
    monkeypatch.setattr(counting, "_bindings", lambda: (_ for _ in ()).throw(ImportError))
    counter = counting._counter.__wrapped__()
    assert [counter(text) for text in ("a", "abcd", "abcde", "ééé")] == [1, 1, 2, 2]


def test_it_counts_all_that_a_request_says():
    plain = ModelRequest("m", [user("one two three")])
    more = [
        ModelRequest("m", plain.messages, system="Be brief."),
        ModelRequest("m", plain.messages, tools=[ToolSchema("add", "Adds.", {"type": "object"})]),
        ModelRequest("m", [*plain.messages, Message("assistant", (ToolCallPart("c", "add", {"a": 1}),))]),
        ModelRequest("m", [*plain.messages, Message("tool", (ToolResultPart("c", "add", "12345"),))]),
        ModelRequest("m", [Message("user", (TextPart("one two three"), ImagePart(b"x", "image/png")))]),
    ]
    assert all(count_request(request) > count_request(plain) for request in more)
    usage = estimate_usage(plain, "four five")
    assert (usage.input, usage.output, usage.estimated) == (count_request(plain), 2, True)
