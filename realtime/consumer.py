"""The socket at `/ws/`: one connection carries everything.

A frame of the client is looked up in the table, checked, and handed to its handler,
one after the other; handlers start work and return. Frames of the hub go straight
into the outbox, without a task or a thread per delivery.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Sequence
from typing import Any

import orjson
from channels.consumer import AsyncConsumer
from django.conf import settings
from pydantic import ValidationError

from nexus_core.errors import NexusError
from workspaces.access import Actor
from workspaces.auth import authenticate_scope

from . import presence
from .frames import CLIENT_FRAMES, Frame, client_frame, make_frame
from .gate import RunGates, register_log_reader
from .hub import hub
from .outbox import Outbox
from .rights import watch
from .rooms import user_room, workspace_room
from .wire import Wire

__all__ = ["NexusConsumer", "register_log_reader"]

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 30
FRAMES_AT_ONCE = 400
FRAMES_PER_SECOND = 40
CLOSE_LOGIN, CLOSE_FORBIDDEN, CLOSE_FLOOD, CLOSE_TOO_LARGE, CLOSE_SLOW, CLOSE_RESTART = 4401, 4403, 4429, 4009, 4008, 4012


class NexusConsumer(AsyncConsumer):
    """One socket. Attributes for handlers: `actor`, `connection_id`, `session_key`."""

    actor: Actor

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self.base_send = scope, send
        self.connection_id = uuid.uuid4().hex
        self.session_key: str = ""
        self._rooms: set[str] = set()
        self._held: list[tuple[str, Sequence[Frame]]] | None = None
        self._follow_after: list[tuple[str, int]] = []
        self._closing: int | None = None
        self._allowance, self._allowance_at = float(FRAMES_AT_ONCE), time.monotonic()
        self._opened = False
        try:
            while True:
                message = await receive()
                if message["type"] == "websocket.connect":
                    if not await self._connect():
                        return
                elif message["type"] == "websocket.receive":
                    await self._receive(message)
                elif message["type"] == "websocket.disconnect":
                    return
        finally:
            self._end()

    # --- life ---

    async def _connect(self) -> bool:
        try:
            self.actor = await authenticate_scope(self.scope)
        except NexusError as refusal:
            log.info("socket refused: %s", refusal.code)
            await self.base_send({"type": "websocket.close", "code": CLOSE_LOGIN})
            return False
        session = self.scope.get("session")
        if self.actor.token_id is None and session is not None:
            self.session_key = session.session_key or ""
        offered = self.scope.get("subprotocols") or []
        accept: dict[str, Any] = {"type": "websocket.accept"}
        if "nexus.v1" in offered:
            accept["subprotocol"] = "nexus.v1"
        await self.base_send(accept)
        self.outbox = Outbox(self.base_send, settings.NEXUS_OUTBOX_BYTES, lambda: self.close_soon(CLOSE_SLOW))
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
        self.join(user_room(self.actor.user_id))
        watch().add(self)
        presence.socket_opened(self)
        return True

    def _end(self) -> None:
        if not self._opened:
            return
        for room in list(self._rooms):
            self.leave(room)
        watch().remove(self)
        self.gates.close()
        self.outbox.close()
        presence.socket_closed(self)

    def close_soon(self, code: int) -> None:
        """Closes with this code, once; callable from anywhere on the loop."""
        if self._closing is not None:
            return
        self._closing = code
        self._closer = asyncio.create_task(self._close(code), name="socket-close")

    async def _close(self, code: int) -> None:
        try:
            await self.base_send({"type": "websocket.close", "code": code})
        except Exception:
            log.debug("socket was gone before its close frame")

    # --- what handlers use ---

    def send(self, frame: Frame) -> None:
        self.outbox.put(frame)

    def join(self, room: str) -> None:
        if room not in self._rooms:
            self._rooms.add(room)
            hub().join(room, self)

    def leave(self, room: str) -> None:
        self._rooms.discard(room)
        hub().leave(room, self)

    def is_in(self, room: str) -> bool:
        return room in self._rooms

    def follow_after_answer(self, run_id: str, after: int) -> None:
        """Behind the handler's answer: the run's chunks after that seq, then live."""
        self._follow_after.append((run_id, after))

    # --- from the hub ---

    def receive(self, room: str, frames: Sequence[Frame]) -> None:
        if self._held is not None:
            self._held.append((room, frames))
            return
        for frame in frames:
            if frame.seq is not None:
                self.gates.pass_on(frame)
            elif frame.type == "control.recheck":
                watch().check_soon()
            else:
                self.outbox.put(frame)

    # --- from the client ---

    async def _receive(self, message: dict[str, Any]) -> None:
        if self._closing is not None:
            return
        raw: str | bytes | None = message.get("text")
        if raw is None:
            raw = message.get("bytes") or b""
        if len(raw) > settings.NEXUS_FRAME_BYTES or (
            isinstance(raw, str) and len(raw) * 4 > settings.NEXUS_FRAME_BYTES and len(raw.encode()) > settings.NEXUS_FRAME_BYTES
        ):
            self.close_soon(CLOSE_TOO_LARGE)
            return
        if not self._allowed():
            self.close_soon(CLOSE_FLOOD)
            return
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
            self._refuse(frame_id, "unknown_frame", f"There is no frame {frame['type'][:60]!r}. There are: {known}.")
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
        self._held, self._follow_after = [], []
        try:
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
        except Exception:
            log.exception("frame handler %s failed", getattr(handler, "__name__", handler))
            self._refuse(frame_id, "unexpected_error", "That failed here. It was logged; try again.")
        finally:
            held, self._held = self._held or [], None
            for room, frames in held:
                if room in self._rooms:
                    self.receive(room, frames)

    def _refuse(self, frame_id: str | int | None, code: str, message: str) -> None:
        extra = {} if frame_id is None else {"id": frame_id}
        self.send(make_frame("error", **extra, code=code, message=message))

    def _allowed(self) -> bool:
        """A bucket of frames: so many at once, then so many a second."""
        now = time.monotonic()
        self._allowance = min(FRAMES_AT_ONCE, self._allowance + (now - self._allowance_at) * FRAMES_PER_SECOND)
        self._allowance_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True


def explain(fault: ValidationError) -> str:
    """`agentId: Field required; input: Input should be a valid string`."""
    return "; ".join(f"{'.'.join(str(at) for at in e['loc']) or 'frame'}: {e['msg']}" for e in fault.errors()[:5])


class Ping(Wire):
    pass


@client_frame("ping", Ping)
async def ping(socket: NexusConsumer, frame: Ping) -> dict[str, Any]:
    """Answered by `pong`, so that a client can tell a dead link from a quiet one."""
    return {"type": "pong"}
