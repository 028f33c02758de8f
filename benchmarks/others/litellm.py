"""LiteLLM's proxy as a peer: one worker, a master key, no database; OpenAI's chat wire in and out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import orjson

from ..marks import Piece
from ..peers import Line, answers
from ..processes import Process, free_port, running
from ..provider import Order
from ..sseclient import Answer
from ..targets import LITELLM
from .install import programs

KEY = "sk-bench"
"""The proxy does not start without a master key."""
CONFIG = """model_list:
  - model_name: bench
    litellm_params:
      model: openai/bench
      api_base: {base}
      api_key: none
"""


class ChatLine:
    """One kept connection; each question is a request whose answer streams."""

    def __init__(self, socket: Answer, port: int) -> None:
        self.socket, self._port = socket, port

    async def ask(self, order: Order) -> None:
        if self.socket.lost:  # kept for a few seconds only
            self.socket = await Answer.open(self._port)
        body = orjson.dumps(
            {
                "model": "bench",
                "stream": True,
                "max_tokens": 4096,
                "messages": [{"role": "user", "content": order.text()}],
            }
        )
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {KEY}"}
        self.socket.request("POST", "/v1/chat/completions", headers, body)

    async def watch(self, other: Line) -> None:
        raise NotImplementedError("an answer over HTTP has one viewer")

    async def leave(self) -> None:
        raise NotImplementedError("an answer over HTTP has one viewer")

    async def begun(self, seconds: float) -> None:
        await self.socket.wait_for(b'"content":"0', b'"content":"1', b'"content": "', seconds=seconds)

    async def ended(self, seconds: float) -> None:
        await self.socket.wait_for(b"data: [DONE]", seconds=seconds)

    def pieces(self) -> list[Piece]:
        out = []
        for frame in self.socket.frames:
            if not frame.payload.startswith(b"{"):
                continue
            choices = orjson.loads(frame.payload).get("choices")
            if choices and (text := choices[0]["delta"].get("content")):
                out.append(Piece(text, frame.at_us))
        return out

    def clear(self) -> None:
        self.socket.forget()


class LiteLlmPeer:
    name = LITELLM
    shares = False

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port = process, port

    async def line(self, person: int) -> ChatLine:
        return ChatLine(await Answer.open(self._port), self._port)


@contextlib.contextmanager
def litellm(folder: Path, core: set[int], provider_url: str) -> Iterator[LiteLlmPeer]:
    """Raises `ServiceMissing` when it cannot be installed."""
    program = programs("litellm") / "litellm"
    config = folder / "litellm.yaml"
    config.write_text(CONFIG.format(base=f"{provider_url}/v1"))
    port = free_port()
    with running(
        "litellm",
        [
            str(program),
            "--config",
            str(config),
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
            "--num_workers",
            "1",
            "--keepalive_timeout",
            "600",
        ],
        folder=folder,
        core=core,
        environment={
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MASTER_KEY": KEY,
            "DATABASE_URL": None,
        },
        answers=lambda: answers(port, "/health/liveliness"),
        cwd=folder,
        seconds=300,
    ) as process:
        yield LiteLlmPeer(process, port)
