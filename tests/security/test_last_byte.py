"""A socket hears its last byte within five seconds [S5], on real servers and by the product's own addresses.

Logged out, out of the workspace, its token revoked, the password changed, ended from the page of sessions: after
each the socket that belongs to it falls silent and closes, while the workspace goes on talking. Embedded; and over
Redis, where the socket is in one process and what ends it happens in another.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import orjson
import pytest
import websockets
from websockets.asyncio.client import ClientConnection, connect

from tests.realtime.live import LiveServer
from tests.realtime.test_redis import OwnRedis

Said = Callable[[str], None]
SECONDS = 5.0
PEOPLE = ("alice", "logged-out", "removed", "revoked", "password", "elsewhere", "account", "stays")
PASSWORD = "correct horse battery staple"
ROOM = """
from workspaces.models import Membership, User
Membership.objects.filter(user__username="alice").update(role="owner")
for user in User.objects.all():
    user.set_password("correct horse battery staple"); user.save()
"""


class Browser:
    """Somebody logged in by the form, with cookies."""

    def __init__(self, server: LiveServer) -> None:
        self.base = f"http://127.0.0.1:{server.port}"
        self.http = httpx2.AsyncClient(base_url=self.base, follow_redirects=True, timeout=60)

    async def log_in(self, name: str) -> Browser:
        page = await self.http.get("/accounts/login/")
        answer = await self.post("/accounts/login/", page.text, login=name, password=PASSWORD)
        assert "nexus-state" in answer.text, answer.text[:400]
        return self

    async def post(self, path: str, page: str, **fields: str) -> Any:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
        assert found is not None, page[:400]
        return await self.http.post(
            path, data={"csrfmiddlewaretoken": found[1], **fields}, headers={"Referer": self.base + path}
        )

    async def form(self, path: str, **fields: str) -> Any:
        return await self.post(path, (await self.http.get(path)).text, **fields)

    @property
    def cookie(self) -> str:
        return f"sessionid={self.http.cookies['sessionid']}"


@asynccontextmanager
async def socket_of(
    server: LiveServer, *, cookie: str = "", token: str = ""
) -> AsyncIterator[ClientConnection]:
    headers = {"Cookie": cookie} if cookie else {"Authorization": f"Bearer {token}"}
    origin: Any = f"http://127.0.0.1:{server.port}" if cookie else None
    async with connect(
        server.address,
        additional_headers=headers,
        origin=origin,
        max_queue=None,
        open_timeout=60,
        ping_interval=None,
    ) as ws:
        assert orjson.loads(await ws.recv())["type"] == "welcome"
        yield ws


async def last_byte(ws: ClientConnection, seen: list[float]) -> int:
    """Notes when each frame came; gives the code that the socket closed with."""
    try:
        while True:
            await ws.recv()
            seen.append(time.monotonic())
    except websockets.ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd is not None else 0


async def standstill(gaps: list[tuple[float, float]]) -> None:
    """Notes when this process, and so perhaps the whole machine, stood still: nothing that came meanwhile was read."""
    last = time.monotonic()
    while True:
        await asyncio.sleep(0.05)
        now = time.monotonic()
        if now - last > 0.5:
            gaps.append((last, now))
        last = now


def stood(gaps: list[tuple[float, float]], since: float, until: float) -> float:
    """For how many seconds of that time it stood still."""
    return sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in gaps)


async def talk(ws: ClientConnection, stop: asyncio.Event) -> None:
    """The workspace is never silent."""
    n = 0
    while not stop.is_set():
        n += 1
        frame = {"type": "activity.broadcast", "activityType": "talk", "metadata": {"n": n}}
        await ws.send(orjson.dumps(frame).decode())
        await asyncio.sleep(0.1)  # the pace of talking; nothing is waited for by it


async def all_fall_silent(there: LiveServer, here: LiveServer, told: Said) -> None:
    """Sockets at `there`; what ends them is done at `here`."""
    alice = await Browser(here).log_in("alice")
    people = {
        name: await Browser(here).log_in(name) for name in ("logged-out", "password", "elsewhere", "account")
    }
    second = await Browser(here).log_in("elsewhere")
    removed, stays = (there.tokens[name] for name in ("removed", "stays"))
    api = httpx2.AsyncClient(base_url=f"http://127.0.0.1:{here.port}", timeout=60)
    hers = {"Authorization": f"Bearer {here.tokens['alice']}"}
    tokens = (
        await api.get("/api/tokens", headers={"Authorization": f"Bearer {here.tokens['revoked']}"})
    ).json()
    members = (await api.get("/api/members", headers=hers)).json()["items"]
    removed_id = next(
        one["userId"] if "userId" in one else one["id"] for one in members if "removed" in str(one)
    )

    async def log_out() -> Any:
        return await people["logged-out"].form("/accounts/logout/")

    async def remove() -> Any:
        return await api.delete(f"/api/members/{removed_id}", headers=hers)

    async def revoke() -> Any:
        token_id = tokens["items"][0]["id"]
        return await api.delete(
            f"/api/tokens/{token_id}", headers={"Authorization": f"Bearer {here.tokens['revoked']}"}
        )

    async def new_password() -> Any:
        new = "another one entirely, and long"
        return await people["password"].form(
            "/accounts/password/change/", oldpassword=PASSWORD, password1=new, password2=new
        )

    async def end_elsewhere() -> Any:
        return await second.form("/accounts/sessions/")

    async def switch_off() -> Any:
        script = "from workspaces.models import User; u = User.objects.get(username='account'); u.is_active = False; u.save()"
        await asyncio.to_thread(here.manage, "shell", "--no-imports", "-c", script)

    ways: dict[str, tuple[dict[str, str], Callable[[], Any]]] = {
        "logout": ({"cookie": people["logged-out"].cookie}, log_out),
        "removal from the workspace": ({"token": removed}, remove),
        "token revoked": ({"token": there.tokens["revoked"]}, revoke),
        "password changed": ({"cookie": people["password"].cookie}, new_password),
        "ended on the page of sessions": ({"cookie": people["elsewhere"].cookie}, end_elsewhere),
        "account switched off": ({"cookie": people["account"].cookie}, switch_off),
    }
    stop = asyncio.Event()
    async with socket_of(here, token=here.tokens["alice"]) as speaker, socket_of(there, token=stays) as other:
        listening, heard = (
            asyncio.create_task(last_byte(other, went_on := [])),
            asyncio.create_task(last_byte(speaker, [])),
        )
        talking = asyncio.create_task(talk(speaker, stop))
        still = asyncio.create_task(standstill(gaps := []))
        for way, (how, end) in ways.items():
            async with socket_of(there, **how) as ws:
                seen: list[float] = []
                closing = asyncio.create_task(last_byte(ws, seen))
                async with asyncio.timeout(60):
                    while not seen:
                        await asyncio.sleep(0.02)
                answer = await end()
                done = time.monotonic()
                assert answer is None or answer.status_code < 400, (
                    f"{way}: {answer.status_code} {answer.text[:300]}"
                )
                async with asyncio.timeout(60):
                    code = await closing
                assert code in (4401, 4403), f"{way}: {code}"
                await asyncio.sleep(0.1)  # a standstill that just ended is noted
                late = max(0.0, seen[-1] - done - stood(gaps, done, seen[-1]))
                assert late <= SECONDS, f"{way}: the last byte came {late:.1f} s later"
                async with asyncio.timeout(60):  # the workspace goes on talking, or it proves nothing
                    while not went_on or went_on[-1] <= done:
                        await asyncio.sleep(0.02)
                told(f"last byte after {way}: {late:.2f} s ({code})")
        stop.set()
        await talking
        for task in (listening, heard, still):
            task.cancel()
    for browser in (alice, second, *people.values()):
        await browser.http.aclose()
    await api.aclose()


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    made = LiveServer("daphne", tmp_path_factory.mktemp("embedded"))
    made.prepare(*PEOPLE)
    made.manage("shell", "--no-imports", "-c", ROOM)
    made.start()
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_it_falls_silent_embedded(embedded: LiveServer, told: Said) -> None:
    await all_fall_silent(embedded, embedded, told)


@pytest.mark.redis
@pytest.mark.slow
@pytest.mark.timeout(300)  # three processes start
async def test_it_falls_silent_in_another_process(tmp_path: Path, told: Said) -> None:
    redis = OwnRedis(tmp_path)
    redis.start()
    data = tmp_path / "data"
    data.mkdir()
    one, two = (LiveServer(kind, data, REDIS_URL=redis.url) for kind in ("daphne", "uvicorn"))
    try:
        one.prepare(*PEOPLE)
        one.manage("shell", "--no-imports", "-c", ROOM)
        two.tokens = one.tokens
        one.start()
        two.start()
        await all_fall_silent(two, one, lambda text: told(f"in another process: {text}"))
    finally:
        one.stop()
        two.stop()
        redis.kill()
