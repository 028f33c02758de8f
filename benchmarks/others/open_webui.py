"""Open WebUI as a peer, on the path its own page uses: a question over HTTP, the answer as events over Socket.IO.

Every line is a person of its own, since events go to all windows of a person. Titles, tags
and the like, which cost further requests, are not asked for; embeddings are never made.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import orjson

from ..marks import Piece
from ..peers import Line, answers
from ..processes import Process, free_port, running
from ..provider import Order
from ..sseclient import Answer
from ..targets import OPEN_WEBUI
from ..wsclient import Socket
from . import engineio
from .install import programs


class OpenWebUiLine:
    def __init__(self, socket: Socket, session: str, token: str, port: int) -> None:
        self.socket = socket
        self._session, self._token, self._port = session, token, port
        self._http: Answer | None = None

    async def ask(self, order: Order) -> None:
        """A new chat for each question, as the page begins one."""
        question, answer, text = str(uuid.uuid4()), str(uuid.uuid4()), order.text()
        body = {
            "model": "bench",
            "stream": True,
            "messages": [{"role": "user", "content": text}],
            "session_id": self._session,
            "parent_id": None,
            "message_ids": [{"model_id": "bench", "message_id": answer}],
            "user_message": {
                "id": question,
                "parentId": None,
                "childrenIds": [answer],
                "role": "user",
                "content": text,
                "timestamp": int(time.time()),
                "models": ["bench"],
            },
            "features": {},
            "background_tasks": {},
            "params": {},
        }
        if self._http is not None:
            await self._http.close()
        self._http = await Answer.open(self._port)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"}
        self._http.request("POST", "/api/chat/completions", headers, orjson.dumps(body))

    async def watch(self, other: Line) -> None:
        raise NotImplementedError("only the windows of one person see an answer live")

    async def leave(self) -> None:
        raise NotImplementedError("only the windows of one person see an answer live")

    async def begun(self, seconds: float) -> None:
        await self.socket.wait_for(b'"response.output_text.delta"', seconds=seconds)

    async def ended(self, seconds: float) -> None:
        await self.socket.wait_for(b'"done":true', seconds=seconds)

    def pieces(self) -> list[Piece]:
        out = []
        for (_, *values), at_us in engineio.events(self.socket):
            event = cast(dict[str, Any], values[0])["data"]
            data = event.get("data")
            if isinstance(data, dict) and data.get("type") == "response.output_text.delta":
                out.append(Piece(data["delta"], at_us))
        return out

    def clear(self) -> None:
        self.socket.forget()


class OpenWebUiPeer:
    name = OPEN_WEBUI
    shares = False

    def __init__(self, process: Process, port: int) -> None:
        self.process, self._port, self._people = process, port, 0
        self._first: asyncio.Task[str] | None = None

    async def line(self, person: int) -> OpenWebUiLine:
        self._people += 1
        token = await self._person(f"person{self._people}@example.com")
        headers = {"Origin": f"http://127.0.0.1:{self._port}"}
        socket = await engineio.join(self._port, "/ws/socket.io/", {"token": token}, headers)
        joined = await socket.wait_for(b'40{"sid"')
        engineio.emit(socket, "user-join", {"auth": {"token": token}})
        return OpenWebUiLine(socket, orjson.loads(joined.payload[2:])["sid"], token, self._port)

    async def _person(self, email: str) -> str:
        """A new person's token. The first one signs up and adds the others, as an administrator does."""
        if self._first is None:
            self._first = asyncio.create_task(self._post("signup", "admin@example.com", ""))
        return await self._post("add", email, await self._first)

    async def _post(self, what: str, email: str, token: str) -> str:
        answer = await Answer.open(self._port)
        try:
            body = {"name": email.split("@")[0], "email": email, "password": "for-the-benchmark"}
            headers = {"Content-Type": "application/json"}
            if token:
                headers["Authorization"], body["role"] = f"Bearer {token}", "user"
            answer.request("POST", f"/api/v1/auths/{what}", headers, orjson.dumps(body))
            status, told = await answer.whole(120)
            if status != 200:
                raise RuntimeError(f"Open WebUI refused a person: {told[:200]!r}")
            return str(orjson.loads(told)["token"])
        finally:
            await answer.close()


@contextlib.contextmanager
def open_webui(folder: Path, core: set[int], provider_url: str) -> Iterator[OpenWebUiPeer]:
    """Raises `ServiceMissing` when it cannot be installed."""
    program = programs("open-webui") / "open-webui"
    own = folder / "open-webui"
    own.mkdir()
    port = free_port()
    environment: dict[str, str | None] = {
        "DATA_DIR": str(own),
        "DATABASE_URL": None,
        "REDIS_URL": None,
        "WEBUI_SECRET_KEY": secrets.token_urlsafe(40),
        "OPENAI_API_BASE_URL": f"{provider_url}/v1",
        "OPENAI_API_KEY": "none",
        "ENABLE_OLLAMA_API": "False",
        "ENABLE_SIGNUP": "True",
        "DEFAULT_USER_ROLE": "user",
        "BYPASS_MODEL_ACCESS_CONTROL": "True",
        # Nothing may be fetched from elsewhere.
        "OFFLINE_MODE": "True",
        "HF_HUB_OFFLINE": "1",
        "RAG_EMBEDDING_ENGINE": "openai",
        "ENABLE_VERSION_UPDATE_CHECK": "False",
        "ANONYMIZED_TELEMETRY": "False",
        "GLOBAL_LOG_LEVEL": "ERROR",
        "ENABLE_PERSISTENT_CONFIG": "False",
    }
    with running(
        "open-webui",
        [str(program), "serve", "--host", "127.0.0.1", "--port", str(port)],
        folder=folder,
        core=core,
        environment=environment,
        answers=lambda: answers(port, "/health"),
        cwd=own,
        seconds=300,
    ) as process:
        yield OpenWebUiPeer(process, port)
