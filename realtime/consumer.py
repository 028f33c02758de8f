"""The socket at `/ws/`: one connection carries everything.

A frame of the client is looked up in the table, checked, and handed to its handler,
one after the other; handlers start work and return. Frames of the hub go straight
into the outbox, without a task or a thread per delivery.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import deque
from collections.abc import Sequence
from typing import Any, cast

import orjson
from channels.consumer import AsyncConsumer
from django.conf import settings
from django.db import InterfaceError, OperationalError
from pydantic import ValidationError

from nexus_core.errors import UNEXPECTED_MESSAGE, NexusError
from nexus_core.tracing import span
from workspaces.access import Actor, TooManyRequests
from workspaces.audit.origin import socket_came
from workspaces.auth import authenticate_scope
from workspaces.context import bind_actor, bind_new, bound
from workspaces.database import in_database
from workspaces.limits import limit_hit

from . import instruments, presence
from .allowance import Allowance
from .close_codes import CLOSE_FLOOD, CLOSE_LOGIN, CLOSE_RESTART, CLOSE_SLOW, CLOSE_TOO_LARGE
from .frames import CLIENT_FRAMES, RECHECK, Bundle, Frame, client_frame, make_frame
from .gate import RunGates
from .hub import hub
from .line import Line
from .lookout import lookout
from .outbox import Outbox
from .resync import start_resync
from .rights import watch
from .rooms import conversation_of_room, member_room, user_room, workspace_room
from .sockets import CLOSE_SECONDS, socket_add, socket_remove
from .wire import Wire

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30
LAST_FRAMES_SECONDS = 8.0


class NexusConsumer(AsyncConsumer):  # type: ignore[misc]  # Channels has no types
    """One socket. Attributes for handlers: `actor`, `connection_id`.

    Reading and answering are two tasks: the reader counts and measures what comes in
    even while a handler is at work, so that a flood cannot pile up behind it. Most
    sockets are silent most of the time: answering has a task only while there is something to answer.
    """

    actor: Actor

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.base_send = scope, send
        self.connection_id = uuid.uuid4().hex
        bind_new(connection_id=self.connection_id)
        self._rooms: set[str] = set()
        self.room_to_be: str | None = None
        self._held: list[tuple[str, Sequence[Frame]]] | None = None
        self._held_bytes = 0
        self._follow_after: list[tuple[str, int]] = []
        self._closing: int | None = None
        self._inbox: deque[str | bytes] | None = None
        self._answering: asyncio.Task[None] | None = None
        self._allowance = Allowance()
        self._opened = False
        self.loop = asyncio.get_running_loop()
        self.closer: asyncio.Task[None] | None = None
        # Presence keeps here when this socket's cursor was last told.
        self.cursor_told, self.cursor_timer = 0.0, cast("asyncio.TimerHandle | None", None)
        try:
            while True:
                message = await receive()
                if message["type"] == "websocket.connect":
                    if not await self._connect():
                        return
                elif message["type"] == "websocket.receive":
                    self._take(message)
                elif message["type"] == "websocket.disconnect":
                    break
            if self._answering is not None and self._closing is None:
                # What was sent before the end is still done.
                await asyncio.wait({self._answering}, timeout=LAST_FRAMES_SECONDS)
        finally:
            if self._answering is not None:
                self._answering.cancel()
            self._end()

    # --- life ---

    async def _connect(self) -> bool:
        try:
            self.actor = await authenticate_scope(self.scope)
            await in_database(limit_hit, "sockets", self.actor)  # with Redis it is a request
        except TooManyRequests:
            await self._turn_away(CLOSE_FLOOD)
            return False
        except NexusError as refusal:
            log.info("socket refused: %s", refusal.code)
            await self.base_send({"type": "websocket.close", "code": CLOSE_LOGIN})
            return False
        except (OperationalError, InterfaceError) as fault:
            # Not a refusal, which would send people to the login: they come back in a moment.
            log.warning("socket turned away: the database is away (%s)", type(fault).__name__)
            await self._turn_away(CLOSE_RESTART)
            return False
        socket_came(self.scope)
        bind_actor(self.actor)
        offered = self.scope.get("subprotocols") or []
        accept: dict[str, Any] = {"type": "websocket.accept"}
        if "nexus.v1" in offered:
            accept["subprotocol"] = "nexus.v1"
        await self.base_send(accept)
        self.line = Line(self.base_send)
        self.outbox = Outbox(
            self.line.send, self.line, settings.NEXUS_OUTBOX_BYTES, lambda: self.close_soon(CLOSE_SLOW)
        )
        self.gates = RunGates(self.outbox.put)
        self._opened = True
        self.send(
            make_frame(
                "welcome",
                connectionId=self.connection_id,
                user={"id": str(self.actor.user_id), "name": self.actor.user.display_name},
                workspace={
                    "id": str(self.actor.workspace_id),
                    "slug": self.actor.workspace.slug,
                    "name": self.actor.workspace.name,
                },
                role=self.actor.role,
                protocol=1,
                heartbeatSeconds=HEARTBEAT_SECONDS,
            )
        )
        self.join(workspace_room(self.actor.workspace_id))
        self.join(member_room(self.actor.workspace_id, self.actor.user_id))
        self.join(user_room(self.actor.user_id))
        socket_add(self)
        watch().needed()
        start_resync()
        presence.socket_opened(self)
        return True

    async def _turn_away(self, code: int) -> None:
        """Accepted first: of a handshake that is refused, a browser tells no code."""
        await self.base_send({"type": "websocket.accept"})
        await self.base_send({"type": "websocket.close", "code": code})

    def _end(self) -> None:
        if not self._opened:
            return
        self._opened = False
        for room in list(self._rooms):
            self.leave(room)
        socket_remove(self)
        self.gates.close()
        self.outbox.close()
        self.line.close()
        presence.socket_closed(self)

    def close_soon(self, code: int) -> None:
        """Closes with this code, once; callable from anywhere on the loop. Nothing but the close follows."""
        if self._closing is not None:
            return
        self._closing = code
        instruments.socket_closes.labels(str(code)).inc()
        log.info("socket closes with %s", code, extra={"code": code})
        self.outbox.close()
        self.closer = asyncio.create_task(self._close(code), name="socket-close")

    async def _close(self, code: int) -> None:
        """The close frame; where the client takes nothing any more, the connection is cut."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.base_send({"type": "websocket.close", "code": code})
        except TimeoutError:
            self.line.cut()
        except Exception:
            log.debug("socket was gone before its close frame")

    # --- what handlers use ---

    def send(self, frame: Frame) -> None:
        self.outbox.put(frame)

    def join(self, room: str) -> None:
        """Frames of that room, from here on; inside a handler they follow its answer."""
        if room not in self._rooms:
            self._rooms.add(room)
            hub().join(room, self)
            if conversation_of_room(room) is not None:
                lookout().needed()

    async def join_and_hear(self, room: str) -> None:
        """Joins, and waits until frames of other processes arrive too: read the state after it. With Redis away
        the looks into the log find what does not arrive."""
        self.join(room)
        await hub().ready(room)

    def leave(self, room: str) -> None:
        self._rooms.discard(room)
        hub().leave(room, self)

    def rooms(self) -> list[str]:
        return list(self._rooms)

    def conversations(self) -> set[uuid.UUID]:
        """Those it watches, but for one that is only about to be made."""
        rooms = self._rooms - {self.room_to_be}
        return {found for room in rooms if (found := conversation_of_room(room)) is not None}

    def is_in(self, room: str) -> bool:
        return room in self._rooms

    def follow_after_answer(self, run_id: str, after: int) -> None:
        """Behind the handler's answer: the run's chunks after that seq, then live."""
        self._follow_after.append((run_id, after))

    # --- from the hub ---

    def receive(self, room: str, frames: Sequence[Frame]) -> None:
        if self._held is not None:
            self._held.append((room, frames))
            self._held_bytes += sum(frame.size for frame in frames)
            if self._held_bytes > settings.NEXUS_OUTBOX_BYTES:
                self._held, self._held_bytes = [], 0
                self.close_soon(CLOSE_SLOW)
            return
        if isinstance(frames, Bundle):
            self.outbox.put_all(frames)
            return
        for frame in frames:
            if frame.seq is not None:
                self.gates.pass_on(frame)
            elif frame.type == RECHECK:
                watch().check_soon()
            else:
                self.outbox.put(frame)

    # --- from the client ---

    def _take(self, message: dict[str, Any]) -> None:
        """The reader's part: size and rate, before anything is parsed."""
        if self._closing is not None:
            return
        raw: str | bytes | None = message.get("text")
        if raw is None:
            raw = message.get("bytes") or b""
        limit = settings.NEXUS_FRAME_BYTES
        if len(raw) > limit or (isinstance(raw, str) and len(raw) * 4 > limit and len(raw.encode()) > limit):
            self.close_soon(CLOSE_TOO_LARGE)
        elif not self._allowance.take():
            self.close_soon(CLOSE_FLOOD)
        else:
            if self._inbox is None:
                self._inbox = deque()
                self._answering = asyncio.create_task(self._answer_all(self._inbox), name="socket-answers")
            self._inbox.append(raw)

    async def _answer_all(self, inbox: deque[str | bytes]) -> None:
        """One frame after the other, until none is left; the next one begins anew."""
        try:
            while inbox:
                raw = inbox.popleft()
                if self._closing is not None:
                    continue
                try:
                    await self._handle(raw)
                except Exception:  # a fault of ours in one frame must not make the socket deaf for the next
                    log.exception("a frame of %s bytes could not be handled", len(raw))
                    self._refuse(None, "unexpected_error", UNEXPECTED_MESSAGE)
        finally:
            self._inbox = self._answering = None

    async def _handle(self, raw: str | bytes) -> None:
        try:
            frame = orjson.loads(raw)
        except orjson.JSONDecodeError:
            self._refuse(None, "invalid_json", "A frame is one JSON object; this text is not JSON.")
            return
        if not isinstance(frame, dict) or not isinstance(frame.get("type"), str):
            self._refuse(None, "invalid_frame", 'A frame is a JSON object with a "type".')
            return
        frame_id = frame.get("id") if isinstance(frame.get("id"), (str, int)) else None
        row = CLIENT_FRAMES.get(frame["type"])
        if row is None:
            known = ", ".join(sorted(CLIENT_FRAMES))
            self._refuse(
                frame_id, "unknown_frame", f"There is no frame {frame['type'][:60]!r}. There are: {known}."
            )
            return
        if frame["type"] != "ping" and not await self._allowance.count(self.actor):
            self.close_soon(CLOSE_FLOOD)
            return
        try:
            parsed = row.model.model_validate(frame)
        except ValidationError as fault:
            self._refuse(frame_id, "invalid_frame", explain(fault))
            return
        if row.writes and not self.actor.can_write:
            self._refuse(frame_id, "forbidden", "Viewers can read along, but not write.")
            return
        await self._answer(row.handler, parsed, frame_id)

    async def _answer(self, handler: Any, parsed: Wire, frame_id: str | int | None) -> None:
        """Runs the handler; what the hub brings meanwhile follows its answer."""
        self._held, self._held_bytes, self._follow_after = [], 0, []
        try:
            given = parsed.__dict__  # asked for a field that it has not, a model raises twice inside
            with (
                bound(conversation_id=given.get("conversation_id"), run_id=given.get("run_id")),
                span(f"frame {getattr(handler, '__name__', '')}", kind="server"),
            ):
                answer = await handler(self, parsed)
            if answer is not None:
                type_ = answer.pop("type")
                if frame_id is not None:
                    answer["id"] = frame_id
                self.send(make_frame(type_, **answer))
            for run_id, after in self._follow_after:
                self.gates.follow(run_id, after)
        except NexusError as refusal:
            self._refuse(frame_id, refusal.code, refusal.message)
        except (OperationalError, InterfaceError) as fault:
            # A refusal would be the client's to understand; coming back it asks for everything again.
            log.warning("socket sent away: the database is away (%s)", type(fault).__name__)
            self.close_soon(CLOSE_RESTART)
        except Exception:
            log.exception("frame handler %s failed", getattr(handler, "__name__", handler))
            self._refuse(frame_id, "unexpected_error", UNEXPECTED_MESSAGE)
        finally:
            held, self._held = self._held or [], None
            for room, frames in held:
                if room in self._rooms:
                    self.receive(room, frames)

    def _refuse(self, frame_id: str | int | None, code: str, message: str) -> None:
        extra = {} if frame_id is None else {"id": frame_id}
        self.send(make_frame("error", **extra, code=code, message=message))


def explain(fault: ValidationError) -> str:
    """`agentId: Field required; input: Input should be a valid string`."""
    return "; ".join(
        f"{'.'.join(str(at) for at in e['loc']) or 'frame'}: {e['msg']}" for e in fault.errors()[:5]
    )


class Ping(Wire):
    pass


@client_frame("ping", Ping)
async def ping(socket: NexusConsumer, frame: Ping) -> dict[str, Any]:
    """Answered by `pong`, so that a client can tell a dead link from a quiet one."""
    return {"type": "pong"}
