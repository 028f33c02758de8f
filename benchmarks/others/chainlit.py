"""Chainlit as a peer: its own server, its own Socket.IO, no login, nothing stored."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from ..marks import Piece
from ..peers import Line, answers
from ..processes import Process, free_port, running
from ..provider import Order
from ..targets import CHAINLIT
from ..wsclient import Socket
from . import engineio
from .install import programs

APPLICATION = Path(__file__).with_name("chainlit_app.py")


class ChainlitLine:
    def __init__(self, socket: Socket) -> None:
        self.socket = socket

    async def ask(self, order: Order) -> None:
        message = {
            "id": str(uuid.uuid4()),
            "threadId": "",
            "name": "user",
            "type": "user_message",
            "output": order.text(),
            "createdAt": datetime.now(UTC).isoformat(),
        }
        engineio.emit(self.socket, "client_message", {"message": message, "fileReferences": []})

    async def watch(self, other: Line) -> None:
        raise NotImplementedError("a chat of Chainlit has one viewer")

    async def leave(self) -> None:
        raise NotImplementedError("a chat of Chainlit has one viewer")

    async def begun(self, seconds: float) -> None:
        await self.socket.wait_for(b'"stream_token"', b'"stream_start"', seconds=seconds)

    async def ended(self, seconds: float) -> None:
        await self.socket.wait_for(b'"task_end"', seconds=seconds)

    def pieces(self) -> list[Piece]:
        out = []
        for (name, *values), at_us in engineio.events(self.socket):
            value = cast(dict[str, str], values[0]) if values else {}
            # The first token comes as the output of the step that begins.
            text = {"stream_start": value.get("output"), "stream_token": value.get("token")}.get(str(name))
            if text:
                out.append(Piece(text, at_us))
        return out

    def clear(self) -> None:
        self.socket.forget()


class ChainlitPeer:
    name = CHAINLIT
    shares = False

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port = process, port

    async def line(self, person: int) -> ChainlitLine:
        auth = {"clientType": "webapp", "sessionId": str(uuid.uuid4()), "threadId": "", "userEnv": "{}"}
        headers = {"Origin": f"http://127.0.0.1:{self._port}"}
        socket = await engineio.join(self._port, "/ws/socket.io/", auth, headers)
        engineio.emit(socket, "connection_successful")
        await socket.wait_for(b'"clear_call_fn"')
        socket.forget()
        return ChainlitLine(socket)


@contextlib.contextmanager
def chainlit(folder: Path, core: set[int], provider_url: str) -> Iterator[ChainlitPeer]:
    """Raises `ServiceMissing` when it cannot be installed."""
    program = programs("chainlit") / "chainlit"
    own = folder / "chainlit"
    own.mkdir()
    port = free_port()
    with running(
        "chainlit",
        [
            str(program),
            "run",
            str(APPLICATION),
            "--headless",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ],
        folder=folder,
        core=core,
        environment={"BENCH_PROVIDER": f"{provider_url}/v1", "CHAINLIT_APP_ROOT": str(own)},
        answers=lambda: answers(port, "/"),
        cwd=own,
        seconds=120,
    ) as process:
        yield ChainlitPeer(process, port)
