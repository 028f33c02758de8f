"""A clock that the tests move, and a server that they play by hand."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

from nexus_core.client.transport import (
    Answer,
    Lost,
    NotSent,
    SocketClosed,
    SocketMissing,
    SocketRefused,
)

WELCOME = {"type": "welcome", "connectionId": "c", "protocol": 1, "user": {"id": "u", "name": "Alice"}}
CONVERSATION = {"id": "k1", "title": "T", "agentId": "a"}


class FakeClock:
    """`await clock.pass_(seconds)` moves both clocks; `sleep_machine` moves only the wall, as a suspended laptop does."""

    def __init__(self) -> None:
        self.now, self.offset = 1000.0, 1_700_000_000.0
        self.chance = 0.5
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.offset + self.now

    def random(self) -> float:
        return self.chance

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, next(self._order), done))
        await done

    def sleep_machine(self, seconds: float) -> None:
        self.offset += seconds

    async def settle(self) -> None:
        """Lets every task do what it can without time passing."""
        for _ in range(60):
            await asyncio.sleep(0)

    async def pass_(self, seconds: float) -> None:
        ends = self.now + seconds
        await self.settle()
        while True:
            self._sleepers = [one for one in self._sleepers if not one[2].done()]
            due = min(self._sleepers, default=None, key=lambda one: one[:2])
            if due is None or due[0] > ends:
                break
            self.now = max(self.now, due[0])
            due[2].set_result(None)
            await self.settle()
        self.now = ends
        await self.settle()


class FakeSocket:
    """The server's end: `say` sends a frame, `sent` has what the client sent, `drop` closes it.

    With `mute` it takes everything and answers nothing, like a dead link.
    """

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.mute = False
        self.closed_by_client = False
        self.answers: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda frame: None
        self._in: asyncio.Queue[str | int] = asyncio.Queue()
        self._code: int | None = None

    def say(self, frame: Mapping[str, Any] | str) -> None:
        self._in.put_nowait(frame if isinstance(frame, str) else orjson.dumps(frame).decode())

    def drop(self, code: int = 1006) -> None:
        self._in.put_nowait(code)

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [frame for frame in self.sent if frame["type"] == type_]

    async def send(self, text: str) -> None:
        if self._code is not None:
            raise SocketClosed(self._code)
        frame = orjson.loads(text)
        self.sent.append(frame)
        if self.mute:
            return
        if frame["type"] == "ping":
            self.say({"type": "pong"})
        elif (answer := self.answers(frame)) is not None:
            self.say({**answer, "id": frame["id"]} if "id" in frame else answer)

    async def receive(self) -> str:
        got = await self._in.get()
        if isinstance(got, int):
            self._code = got
            raise SocketClosed(got)
        return got

    async def close(self) -> None:
        self.closed_by_client = True


class FakeServer:
    """The transport of a client under test.

    Attributes:
        log: what is stored, run by run: the wire chunks. `/chunks` and the stream read it.
        refuses: what the next handshakes meet: an HTTP status, "missing", "gone" or "hangs"; empty: welcome.
        requests: every HTTP request as `(method, path, body)`.
        http: what the next requests meet: an `Answer`, "not-sent", "lost"; empty: the routes below.
    """

    def __init__(self) -> None:
        self.log: dict[str, list[dict[str, Any]]] = {}
        self.status: dict[str, str] = {}
        self.sockets: list[FakeSocket] = []
        self.refuses: list[int | str] = []
        self.requests: list[tuple[str, str, Any]] = []
        self.http: list[Answer | str] = []
        self.me = 200
        self.first: Mapping[str, Any] = WELCOME
        self.streams: list[dict[str, str]] = []
        self.cut_stream_after: list[int | str] = []
        self.live = True
        """Whether sockets subscribe to what is stored: the snapshot, then the chunks after `after`."""
        self.headers: list[Mapping[str, str]] = []
        self.messages: list[dict[str, Any]] = []
        self.conversation: Mapping[str, Any] = CONVERSATION

    @property
    def socket(self) -> FakeSocket:
        return self.sockets[-1]

    def chunk(self, run_id: str, seq: int) -> dict[str, Any]:
        return {
            "type": "chunk",
            "runId": run_id,
            "conversationId": "k1",
            "seq": seq,
            "chunk": self.log[run_id][seq - 1],
        }

    def store(self, run_id: str, *chunks: dict[str, Any], tell: bool = True) -> None:
        """The run goes on: stored first, then told to the open socket."""
        log = self.log.setdefault(run_id, [])
        self.status.setdefault(run_id, "running")
        for chunk in chunks:
            log.append(chunk)
            if chunk["type"] == "metadata" and chunk["data"]["status"] in ("complete", "cancelled", "failed"):
                self.status[run_id] = chunk["data"]["status"]
            if tell and self.sockets:
                self.socket.say(self.chunk(run_id, len(log)))

    def run(self, run_id: str) -> dict[str, Any]:
        return {
            "runId": run_id,
            "conversationId": "k1",
            "status": self.status.get(run_id, "running"),
            "agentId": "a",
            "messageId": "q",
            "answerId": "m",
            "lastSeq": len(self.log.get(run_id, [])),
        }

    # --- the transport ---

    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None = None,
        content: bytes | None = None,
        files: Mapping[str, Any] | None = None,
    ) -> Answer:
        body = orjson.loads(content) if content else None
        self.requests.append((method, path, body))
        self.headers.append(headers)
        if self.http and path != "/api/me":
            meets = self.http.pop(0)
            if meets == "not-sent":
                raise NotSent("refused")
            if meets == "lost":
                raise Lost("reset")
            if isinstance(meets, Answer):
                return meets
        if path == "/api/me":
            return Answer(self.me, {}, b"{}")
        if path == "/api/invoke":
            return json_answer({**self.run("r1"), "status": "queued"}, 202)
        if path.endswith("/resume"):
            return json_answer({**self.run("r2"), "status": "queued"}, 202)
        if path.endswith("/cancel"):
            return json_answer({"runId": "r1", "status": "running"})
        if path.endswith("/chunks"):
            assert params is not None
            run_id, after, limit = path.split("/")[3], int(params["after"]), int(params["limit"])
            rows = [{"seq": n, "chunk": c} for n, c in enumerate(self.log.get(run_id, []), 1) if n > after]
            more = len(rows) > limit
            return json_answer({"items": rows[:limit], "nextCursor": str(after + limit) if more else None})
        if path.endswith("/continue"):
            return json_answer({**self.run("r2"), "status": "queued"}, 202)
        if path.endswith("/feedback"):
            return Answer(204, {}, b"") if method == "DELETE" else json_answer(body)
        if path.endswith("/fork"):
            return json_answer({**CONVERSATION, "id": "k2"}, 201)
        if path == "/api/conversations/k1":
            return json_answer(self.conversation)
        if path == "/api/conversations/k1/thread":
            runs = [self.run(run_id) for run_id in self.log]
            return json_answer({"messages": self.messages, "runs": runs, "line": [], "earlier": None})
        if path.startswith("/api/runs/"):
            return json_answer(self.run(path.split("/")[3]))
        return json_answer({"error": {"code": "not_found", "message": "No such thing."}}, 404)

    @asynccontextmanager
    async def stream(self, path: str, *, headers: Mapping[str, str]) -> AsyncIterator[FakeStream]:
        parts = urlsplit(path)
        after = int(headers.get("Last-Event-ID") or parse_qs(parts.query)["after"][0])
        self.streams.append({"path": path, **headers})
        cut = self.cut_stream_after.pop(0) if self.cut_stream_after else None
        if cut == "gone":
            raise NotSent("refused")
        yield FakeStream(self, parts.path.split("/")[3], after, cut)

    async def connect(self, path: str, *, headers: Mapping[str, str]) -> FakeSocket:
        meets = self.refuses.pop(0) if self.refuses else None
        if isinstance(meets, int):
            raise SocketRefused(meets)
        if meets == "missing":
            raise SocketMissing
        if meets == "gone":
            raise NotSent("refused")
        if meets == "hangs":
            await asyncio.Event().wait()
        socket = FakeSocket()
        socket.answers = self._answer
        socket.say(self.first)
        self.sockets.append(socket)
        return socket

    def _answer(self, frame: dict[str, Any]) -> dict[str, Any] | None:
        socket = self.socket
        if frame["type"] == "subscribe" and self.live:
            live = [self.run(run_id) for run_id in self.log]
            socket.say(
                {"type": "subscribed", "id": frame["id"], "conversationId": "k1", "conversation": CONVERSATION,
                 "messages": [], "runs": live, "members": [], "presence": []}
            )  # fmt: skip
            for run_id, log in self.log.items():
                if self.status[run_id] == "running" or run_id in frame["after"]:
                    for seq in range(frame["after"].get(run_id, 0) + 1, len(log) + 1):
                        socket.say(self.chunk(run_id, seq))
        elif frame["type"] == "replay":
            for seq in range(frame["after"] + 1, len(self.log[frame["runId"]]) + 1):
                socket.say(self.chunk(frame["runId"], seq))
        return None

    async def close(self) -> None:
        return None


class FakeStream:
    """A run as events. `cut`: after so many of them the stream breaks; "ends": cleanly; "silent": it says nothing more."""

    def __init__(self, server: FakeServer, run_id: str, after: int, cut: int | str | None) -> None:
        self.status = 200
        self.headers = {"content-type": "text/event-stream; charset=utf-8"}
        self._server, self._run, self._after, self._cut = server, run_id, after, cut

    async def pieces(self) -> AsyncIterator[bytes]:
        yield b": connected\n\n"
        given = 0
        if self._cut == "ends":
            return
        for seq, chunk in enumerate(self._server.log.get(self._run, []), 1):
            if seq <= self._after:
                continue
            if given == self._cut:
                raise Lost("reset")
            if self._cut == "silent" and given == 1:
                await asyncio.Event().wait()
            given += 1
            yield b"id: %d\ndata: %b\n\n" % (seq, orjson.dumps(chunk))
        if self._server.status.get(self._run) == "running":
            await asyncio.Event().wait()


def json_answer(wire: Any, status: int = 200, **headers: str) -> Answer:
    return Answer(status, headers, orjson.dumps(wire))


def refused(code: str, status: int, **headers: str) -> Answer:
    return json_answer(
        {"error": {"code": code, "message": "No.", "requestId": "q1"}},
        status,
        **{k.replace("_", "-"): v for k, v in headers.items()},
    )


def text(words: str) -> dict[str, Any]:
    return {"type": "content", "data": words, "timestamp": 1}


def started() -> dict[str, Any]:
    return {"type": "metadata", "data": {"status": "started", "messageId": "m"}, "timestamp": 1}


def metadata(status: str, **fields: Any) -> dict[str, Any]:
    return {"type": "metadata", "data": {"status": status, **fields}, "timestamp": 1}
