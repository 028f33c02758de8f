"""One socket that is always on its way back: reconnects with full jitter, pings, gives a silent link up.

It knows frames only as objects with a `type`; what they mean is the business of who listens.
A ping goes out every 20 s; a link that stays silent for 10 s after it is dead. When the wall clock
jumps ahead of the monotonic one the machine has slept: the link is checked at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Literal

import orjson

from .clock import Clock, full_jitter, within
from .errors import ClientClosed, ClientError, Forbidden, ProtocolMismatch, Unauthorized, Unreachable, refusal
from .transport import Headers, NotSent, Socket, SocketClosed, SocketMissing, SocketRefused, Transport

JSON = Any
Frame = Mapping[str, JSON]
Status = Literal["closed", "connecting", "live", "offline", "blocked", "ended"]
"""`blocked`: HTTP works and sockets do not; tried again now and then. `ended`: `fault` says why, for good."""
Verdict = Literal["ok", "signed-out", "forbidden", "down"]

PROTOCOL = 1
PING_SECONDS, SILENCE_SECONDS, WAKE_SECONDS = 20.0, 10.0, 3.0
HANDSHAKE_SECONDS = 15.0
ANSWER_SECONDS = 20.0
BLOCKED_AFTER, BLOCKED_SECONDS = 2, 60.0
FLOODED_SECONDS = 10.0
STEADY_SECONDS = 10.0
"""A link that lived shorter than this did not recover: the window of the jitter goes on growing."""
TICK_SECONDS, SLEPT_SECONDS = 1.0, 3.0
MOST_WAITING = 256

LOGIN, FORBIDDEN, TOO_LARGE, TOO_SLOW, FLOOD = 4401, 4403, 4009, 4008, 4429


class Link:
    """Args:
    probe: asks by HTTP why the door stays shut, since a handshake does not say.
    on_frame: gets every frame but `pong`, in order; must not wait.
    on_status: hears of each change of `status`; must not wait.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        headers: Headers,
        *,
        path: str = "/ws/",
        probe: Callable[[], Awaitable[Verdict]],
        on_frame: Callable[[Frame], None],
        on_status: Callable[[Status], None],
    ) -> None:
        self._transport, self._clock, self._headers, self._path = transport, clock, headers, path
        self._probe, self._on_frame, self._on_status = probe, on_frame, on_status
        self.status: Status = "closed"
        self.fault: ClientError | None = None
        self.last_code = 0
        self._task: asyncio.Task[None] | None = None
        self._socket: Socket | None = None
        self._outgoing: asyncio.Queue[str] = asyncio.Queue(MOST_WAITING)
        self._waiting: dict[str, asyncio.Future[Frame]] = {}
        self._ids = 0
        self._heard = 0
        self._failures = self._refusals = 0
        self._woken = asyncio.Event()
        self._burying: set[asyncio.Task[None]] = set()

    # --- for whoever holds it ---

    def open(self) -> None:
        """Begins to connect; does nothing while it already does."""
        if self._task is None or self._task.done():
            self.fault, self._failures, self._refusals = None, 0, 0
            self._task = asyncio.create_task(self._run(), name="nexus-link")

    async def close(self) -> None:
        """Says goodbye and ends every task; safe to call twice."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self._reject(ClientClosed("The client was closed."))
        if self._burying:
            await asyncio.wait(self._burying, timeout=3)
        self._set("closed")

    def wake(self) -> None:
        """The machine slept or the network changed: check a live link now, retry a lost one now."""
        self._woken.set()

    def send(self, frame: Frame) -> bool:
        """Whether it was handed to a live link. A frame that was not is gone: nothing is kept for later."""
        if self.status != "live":
            return False
        try:
            self._outgoing.put_nowait(orjson.dumps(frame).decode())
        except asyncio.QueueFull:
            return False
        return True

    async def ask(self, frame: Frame) -> Frame:
        """The frame that answers this one. Raises a `Refused`, or `Unreachable`."""
        self._ids += 1
        id_ = f"p{self._ids}"
        answer: asyncio.Future[Frame] = asyncio.get_running_loop().create_future()
        self._waiting[id_] = answer
        try:
            if not self.send({**frame, "id": id_}):
                raise Unreachable("There is no connection to the server.")
            return await within(self._clock, ANSWER_SECONDS, _result(answer))
        except TimeoutError as fault:
            raise Unreachable("The server did not answer.", code="timeout", cause=fault) from fault
        finally:
            self._waiting.pop(id_, None)

    # --- its life ---

    async def _run(self) -> None:
        try:
            await self._come_back_for_ever()
        except Exception as fault:  # whoever listens must not wait for a link that has died
            self.fault = ClientError("The connection failed in an unexpected way.", cause=fault)
            self._set("ended")
            raise

    async def _come_back_for_ever(self) -> None:
        while True:
            self._set("connecting")
            began = self._clock.monotonic()
            code, was_live = await self._live_once()
            if was_live and self._clock.monotonic() - began >= STEADY_SECONDS:
                self._failures = 0
            if was_live:
                self.last_code = code
            self._reject(
                refusal("frame_too_large", "This message is too long to send.")
                if code == TOO_LARGE
                else Unreachable("The connection was lost.", code="connection_lost")
            )
            if self.fault is None and code == LOGIN:
                self.fault = Unauthorized(
                    "The server closed the connection: the token does not hold any more."
                )
            if self.fault is None and code == FORBIDDEN:
                self.fault = Forbidden("The server closed the connection: not allowed any more.")
            if self.fault is not None:
                self._set("ended")
                return
            blocked = self._refusals >= BLOCKED_AFTER
            self._set("blocked" if blocked else "offline")
            await self._pause(self._delay(code, was_live, blocked))
            self._failures += 1

    def _delay(self, code: int, was_live: bool, blocked: bool) -> float:
        if blocked:
            return BLOCKED_SECONDS * (0.5 + self._clock.random())
        if code == FLOOD:
            return FLOODED_SECONDS * (1 + self._clock.random())
        if code == TOO_SLOW and was_live:
            return 0.5 * self._clock.random()
        return full_jitter(self._clock, self._failures + 1)

    async def _live_once(self) -> tuple[int, bool]:
        """Connects, lives, and gives the close code, and whether it was ever live."""
        socket: Socket | None = None
        try:
            socket = await within(
                self._clock, HANDSHAKE_SECONDS, self._transport.connect(self._path, headers=self._headers)
            )
            self._read_welcome(await within(self._clock, HANDSHAKE_SECONDS, socket.receive()))
            self._refusals = 0
            return await self._stay(socket), True
        except SocketMissing:
            self._refusals = BLOCKED_AFTER
            return 0, False
        except SocketClosed as closed:
            return closed.code, False
        except (SocketRefused, TimeoutError) as refused:
            await self._judge(await self._probe(), refused)
            return 1006, False
        except NotSent:
            return 1006, False
        except ProtocolMismatch as fault:
            self.fault = fault
            return 1006, False
        finally:
            if socket is not None:
                self._bury(socket)

    def _read_welcome(self, text: str) -> None:
        frame = _parse(text)
        if frame is None or frame.get("type") != "welcome":
            raise ProtocolMismatch("The server did not begin with `welcome`.")
        if frame.get("protocol") != PROTOCOL:
            raise ProtocolMismatch(
                f"The server speaks protocol {frame.get('protocol')!r}, this client {PROTOCOL}. Update the older one."
            )
        self._first = frame

    async def _judge(self, verdict: Verdict, refused: Exception) -> None:
        """What a shut door means: wrong token, no server, or something in between that lets no socket through."""
        if verdict == "signed-out":
            self.fault = Unauthorized("The token is wrong, expired or revoked.", status=401)
        elif verdict == "forbidden":
            self.fault = Forbidden("This token may not connect.", status=403)
        elif verdict == "ok":
            self._refusals += 1

    async def _stay(self, socket: Socket) -> int:
        """Until the link ends. Gives the close code, 1006 for a link that went silent."""
        self._socket = socket
        self._outgoing = asyncio.Queue(MOST_WAITING)
        self._woken.clear()
        self._set("live")
        self._on_frame(self._first)
        tasks = [
            asyncio.create_task(part, name=f"nexus-link-{name}")
            for name, part in (
                ("reads", self._read(socket)),
                ("writes", self._write(socket)),
                ("pings", self._ping()),
            )
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            return next(task for task in tasks if task in done).result()
        finally:
            self._socket = None
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, socket: Socket) -> int:
        while True:
            try:
                text = await socket.receive()
            except SocketClosed as closed:
                return closed.code
            self._heard += 1
            frame = _parse(text)
            if frame is None:
                continue
            answers = self._waiting.get(str(frame.get("id")))
            if frame.get("type") == "error" and answers is not None:
                if not answers.done():
                    answers.set_exception(refusal(str(frame.get("code")), str(frame.get("message"))))
                continue
            if frame.get("type") != "pong":
                self._on_frame(frame)
            if answers is not None and not answers.done():
                answers.set_result(frame)

    async def _write(self, socket: Socket) -> int:
        while True:
            text = await self._outgoing.get()
            try:
                await socket.send(text)
            except SocketClosed as closed:
                return closed.code

    async def _ping(self) -> int:
        while True:
            slept = await self._pause(PING_SECONDS)
            heard = self._heard
            self.send({"type": "ping"})
            if not await self._hears(heard, WAKE_SECONDS if slept else SILENCE_SECONDS):
                return 1006

    async def _hears(self, before: int, seconds: float) -> bool:
        """Whether anything comes within so many seconds."""
        ends = self._clock.monotonic() + seconds
        while self._heard == before:
            left = ends - self._clock.monotonic()
            if left <= 0:
                return False
            await self._clock.sleep(min(TICK_SECONDS, left))
        return True

    async def _pause(self, seconds: float) -> bool:
        """Waits so long, or until somebody wakes it or the machine slept; says whether it was cut short."""
        ends = self._clock.monotonic() + seconds
        while (left := ends - self._clock.monotonic()) > 0:
            tick = min(TICK_SECONDS, left)
            at, wall = self._clock.monotonic(), self._clock.wall()
            with suppress(TimeoutError):
                await within(self._clock, tick, _wait(self._woken))
            passed = self._clock.monotonic() - at
            behind = self._clock.wall() - wall - passed
            if self._woken.is_set() or behind > SLEPT_SECONDS or passed - tick > SLEPT_SECONDS:
                self._woken.clear()
                return True
        return False

    def _bury(self, socket: Socket) -> None:
        """A socket that does not answer is not waited for: its close may take minutes."""

        async def bury() -> None:
            with suppress(Exception):
                await within(self._clock, 2.0, socket.close())

        task = asyncio.create_task(bury(), name="nexus-link-closes")
        self._burying.add(task)
        task.add_done_callback(self._burying.discard)

    def _reject(self, error: ClientError) -> None:
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(error)
        self._waiting.clear()

    def _set(self, status: Status) -> None:
        if status != self.status:
            self.status = status
            self._on_status(status)


async def _result(answer: asyncio.Future[Frame]) -> Frame:
    return await answer


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _parse(text: str) -> Frame | None:
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return frame if isinstance(frame, Mapping) else None
