"""The way between processes: Redis pub/sub, one channel per room, one connection per process.

`channels_redis` is not used here: its receiving task ends for good at some faults,
and it never tells that a connection was lost and made again, which is when doorbells
are missed. This one subscribes anew after every fault and says so (`on_back`). Who could
not send for a while says so to the others: what they missed, they cannot know.

A message is one JSON line (sender, and type, run and seq of each frame), then the
frames' own texts, one per line: nothing is serialised twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import orjson
import redis
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from . import instruments
from .frames import Frame

log = logging.getLogger(__name__)

CHANNEL = "nexus:room:"
ALL = "all"
"""No room: every process hears it. A word over it says that its sender's frames did not arrive for a while."""
CONNECT_SECONDS = 2.0
QUIET_SECONDS = 5.0
"""After so much silence Redis is asked for a sign of life."""
DEAD_SECONDS = 12.0
READY_SECONDS = 1.0
MOST_WAITING = 20_000
PAUSES = (0.1, 0.25, 0.5, 1.0, 2.0)


def pack(process: str, frames: Sequence[Frame]) -> bytes:
    head = orjson.dumps([process, [(f.type, f.run_id, f.seq) for f in frames]])
    return b"\n".join([head, *(f.text.encode() for f in frames)])


def unpack(message: bytes) -> tuple[str, list[Frame]]:
    head, *texts = message.split(b"\n")
    process, rows = orjson.loads(head)
    return process, [Frame(text.decode(), *row) for text, row in zip(texts, rows, strict=True)]


def publish_from_outside(url: str, room: str, frames: Sequence[Frame]) -> None:
    """For a process without a hub (a command): one message, sent at once. Never raises."""
    try:
        with redis.Redis.from_url(
            url, socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS
        ) as r:
            r.publish(CHANNEL + room, pack("", frames))
    except (redis.RedisError, OSError) as fault:
        log.warning("publishing failed (%s); watchers read the log", type(fault).__name__)


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Cancels the tasks and waits for them; again and again, because redis-py swallows a cancel now and then."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.25)
    await asyncio.gather(*tasks, return_exceptions=True)  # so that nobody is told of a fault nobody fetched


class Bridge:
    """Carries the rooms of one hub. All methods on the hub's loop.

    Args:
        deliver: gets what other processes published.
        on_back: called when something may have been missed: Redis is heard again after a fault, or
            another process could not send.
    """

    def __init__(
        self,
        url: str,
        process: str,
        deliver: Callable[[str, Sequence[Frame]], None],
        on_back: Callable[[], None],
    ) -> None:
        self._url, self._process = url, process
        self._deliver, self._on_back = deliver, on_back
        self._wanted: set[str] = set()
        self._subscribed: dict[str, asyncio.Event] = {}
        self._changed = asyncio.Event()
        self._outgoing: deque[tuple[str, bytes]] = deque(maxlen=MOST_WAITING)
        self._untold = False
        self._wake = asyncio.Event()
        self._troubled: set[str] = set()
        """The ways that do not work now: hearing, telling."""
        self._tasks = [
            asyncio.create_task(self._listen_forever(), name="bridge-listen"),
            asyncio.create_task(self._send_forever(), name="bridge-send"),
        ]

    def subscribe(self, room: str) -> None:
        self._wanted.add(room)
        self._changed.set()

    def unsubscribe(self, room: str) -> None:
        self._wanted.discard(room)
        self._changed.set()

    async def ready(self, room: str) -> bool:
        """Waits until Redis confirmed the subscription; False when it did not in time."""
        confirmed = self._subscribed.setdefault(room, asyncio.Event())
        try:
            async with asyncio.timeout(READY_SECONDS):
                await confirmed.wait()
        except TimeoutError:
            return False
        return True

    def send(self, room: str, frames: Sequence[Frame]) -> None:
        self._untold = self._untold or len(self._outgoing) == MOST_WAITING
        self._outgoing.append((room, pack(self._process, frames)))
        self._wake.set()

    async def close(self) -> None:
        await _end(self._tasks)

    # --- sending ---

    async def _send_forever(self) -> None:
        client: Any = redis.asyncio.Redis.from_url(
            self._url, socket_timeout=CONNECT_SECONDS, socket_connect_timeout=CONNECT_SECONDS
        )
        failed = 0
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                batch = list(self._outgoing)
                self._outgoing.clear()
                untold, self._untold = self._untold, False
                try:
                    async with client.pipeline(transaction=False) as pipe:
                        if untold:
                            pipe.publish(CHANNEL + ALL, pack(self._process, [Frame("", "bridge.missed")]))
                        for room, message in batch:
                            pipe.publish(CHANNEL + room, message)
                        await pipe.execute()
                except (redis.RedisError, OSError) as fault:
                    # Not kept: what they told stands in the database, where everybody looks again.
                    self._tell_away("telling", fault)
                    self._untold, failed = True, failed + 1
                    await asyncio.sleep(PAUSES[min(failed, len(PAUSES)) - 1])
                    self._wake.set()
                else:
                    failed = 0
                    self._works("telling")
        finally:
            with contextlib.suppress(Exception):
                await client.aclose()

    # --- listening ---

    async def _listen_forever(self) -> None:
        tries = 0
        while True:
            began = time.monotonic()
            try:
                await self._listen()
            except (redis.RedisError, OSError) as fault:
                self._tell_away("hearing", fault)
            for event in self._subscribed.values():
                event.clear()
            tries = 0 if time.monotonic() - began > DEAD_SECONDS else tries + 1
            await asyncio.sleep(PAUSES[min(tries, len(PAUSES) - 1)])

    async def _listen(self) -> None:
        """One connection's life: subscribes, and delivers until it breaks."""
        client: Any = redis.asyncio.Redis.from_url(
            self._url,
            socket_timeout=None,  # silence is normal here; the signs of life below find a dead link
            socket_connect_timeout=CONNECT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # a lost connection must be seen, not mended behind our back
        )
        pubsub = client.pubsub()
        keeper: asyncio.Task[None] | None = None
        try:
            await pubsub.subscribe(CHANNEL + ALL)
            keeper = asyncio.create_task(self._keep_subscriptions(pubsub), name="bridge-subscribe")
            heard = time.monotonic()
            while True:
                message = await pubsub.get_message(timeout=QUIET_SECONDS)
                now = time.monotonic()
                if keeper.done():
                    keeper.result()
                if message is None:
                    if now - heard > DEAD_SECONDS:
                        raise redis.ConnectionError("no sign of life")
                    if now - heard > QUIET_SECONDS / 2:
                        await pubsub.ping()
                    continue
                heard = now
                self._heard(message)
        finally:
            if keeper is not None:
                await _end([keeper])
            with contextlib.suppress(Exception):
                await pubsub.aclose()
            with contextlib.suppress(Exception):
                await client.aclose()

    async def _keep_subscriptions(self, pubsub: Any) -> None:
        have: set[str] = set()
        while True:
            self._changed.clear()
            missing, surplus = self._wanted - have, have - self._wanted
            if missing:
                await pubsub.subscribe(*(CHANNEL + room for room in missing))
            if surplus:
                await pubsub.unsubscribe(*(CHANNEL + room for room in surplus))
                for room in surplus:
                    self._subscribed.pop(room, None)
            have = (have | missing) - surplus
            await self._changed.wait()

    def _heard(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "message":
            try:
                process, frames = unpack(message["data"])
            except (ValueError, TypeError):
                log.warning("a message of another program came over %s", message["channel"])
                return
            if process == self._process:
                return
            if _room(message["channel"]) == ALL:
                self._on_back()
            else:
                self._deliver(_room(message["channel"]), frames)
        elif kind == "subscribe":
            room = _room(message["channel"])
            if room == ALL:
                if self._works("hearing"):
                    self._on_back()
            else:
                self._subscribed.setdefault(room, asyncio.Event()).set()

    def _tell_away(self, way: str, fault: BaseException) -> None:
        if not self._troubled:
            instruments.redis_away.set(1)
            log.warning("Redis is away (%s); watchers read the log until it is back", type(fault).__name__)
        self._troubled.add(way)

    def _works(self, way: str) -> bool:
        """True where it did not before."""
        if way not in self._troubled:
            return False
        self._troubled.discard(way)
        if not self._troubled:
            instruments.redis_away.set(0)
            log.info("Redis is back")
        return True


def _room(channel: bytes | str) -> str:
    name = channel.decode() if isinstance(channel, bytes) else channel
    return name.removeprefix(CHANNEL)
