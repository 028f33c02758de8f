"""The link's rules, one by one, on a clock that the test moves."""

from __future__ import annotations

import asyncio

import pytest

from nexus_core.client import ClientClosed, Forbidden, ProtocolMismatch, Unauthorized, Unreachable

from .conftest import Bench
from .fakes import FakeClock, FakeServer, metadata, started, text


async def test_it_sends_its_token_with_the_handshake_and_every_call(bench: Bench, server: FakeServer) -> None:
    await bench.follow()
    assert all(headers["Authorization"] == "Bearer nxs_x" for headers in server.headers)
    assert bench.opened[0].link.status == "live"


async def test_it_pings_every_twenty_seconds_and_stays(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    await bench.follow()
    await clock.pass_(120)
    assert 4 <= len(server.socket.of("ping")) <= 6
    assert len(server.sockets) == 1


async def test_it_finds_a_dead_link_within_thirty_five_seconds(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow()
    await clock.pass_(20.5)  # the worst moment: just after an answered ping
    dead = server.socket
    dead.mute = True
    server.store("r1", started(), text("unheard"), tell=False)
    await clock.pass_(35)
    assert len(server.sockets) == 2
    assert dead.closed_by_client
    assert reader.seqs == [1, 2]


async def test_it_checks_a_live_link_at_once_when_the_machine_slept(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    await bench.follow()
    await clock.pass_(5)
    server.socket.mute = True
    clock.sleep_machine(3600)  # the wall moved on, the monotonic clock stood still
    await clock.pass_(1.1)
    assert len(server.socket.of("ping")) == 1
    await clock.pass_(3 + 2)
    assert len(server.sockets) == 2


async def test_it_retries_at_once_when_the_machine_slept_while_offline(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    await bench.follow()
    clock.chance = 0.999
    server.refuses = ["gone"] * 6
    server.socket.drop()
    await clock.pass_(18)
    tried = 6 - len(server.refuses)
    await clock.settle()
    clock.sleep_machine(3600)
    await clock.pass_(1.1)
    assert 6 - len(server.refuses) == tried + 1


async def test_it_leaves_an_answered_check_alone(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    await bench.follow()
    await clock.pass_(5)
    clock.sleep_machine(3600)
    await clock.pass_(10)
    assert len(server.socket.of("ping")) == 1
    assert len(server.sockets) == 1


@pytest.mark.parametrize("chance", [0.05, 0.25, 0.999])
async def test_it_comes_back_with_full_jitter(
    bench: Bench, server: FakeServer, clock: FakeClock, chance: float
) -> None:
    await bench.follow()
    await clock.pass_(60)
    clock.chance = chance
    server.refuses = ["gone"] * 5
    server.socket.drop()
    windows = [1, 2, 4, 8, 15]  # seconds: it doubles up to fifteen; the whole of it is used
    for number, window in enumerate(windows):
        assert 5 - len(server.refuses) == number
        await clock.pass_(chance * window * 0.8)
        assert 5 - len(server.refuses) == number
        await clock.pass_(chance * window * 0.2 + 0.001)
    assert not server.refuses


async def test_it_grows_its_window_where_a_server_takes_it_and_throws_it_out(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    await bench.follow()
    clock.chance = 0.999
    for number in range(6):
        server.socket.drop(4012)
        while len(server.sockets) < number + 2:
            await clock.pass_(0.5)
    before = len(server.sockets)
    server.socket.drop(4012)
    await clock.pass_(10)
    assert len(server.sockets) == before  # by now it waits up to fifteen seconds


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1011, 1012, 4008, 4012])
async def test_it_comes_back_after_a_close_that_is_no_verdict(
    bench: Bench, server: FakeServer, clock: FakeClock, code: int
) -> None:
    reader = await bench.follow()
    server.store("r1", started(), text("a"))
    await clock.settle()
    server.socket.drop(code)
    await clock.settle()
    server.store("r1", text("b"), metadata("complete"), tell=False)
    await clock.pass_(3)
    assert len(server.sockets) == 2
    assert server.socket.of("subscribe")[0]["after"] == {"r1": 2}
    assert reader.seqs == [1, 2, 3, 4]
    assert reader.ended
    assert reader.fault is None


@pytest.mark.parametrize(("code", "kind"), [(4401, Unauthorized), (4403, Forbidden)])
async def test_it_raises_what_ends_it_for_good(
    bench: Bench, server: FakeServer, clock: FakeClock, code: int, kind: type[Exception]
) -> None:
    reader = await bench.follow()
    server.socket.drop(code)
    await clock.pass_(120)
    assert len(server.sockets) == 1
    assert isinstance(reader.fault, kind)


async def test_it_waits_longer_after_a_flood(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    await bench.follow()
    server.socket.drop(4429)
    await clock.pass_(10)
    assert len(server.sockets) == 1
    await clock.pass_(10)
    assert len(server.sockets) == 2


async def test_it_tells_who_waits_that_a_frame_was_too_large(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    await bench.follow()
    asking = asyncio.create_task(bench.opened[0].link.ask({"type": "big"}))
    await clock.settle()
    server.socket.drop(4009)
    await clock.settle()
    assert asking.exception().code == "frame_too_large"  # type: ignore[union-attr]


async def test_it_raises_when_a_question_gets_no_answer(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    await bench.follow()
    asking = asyncio.create_task(bench.opened[0].link.ask({"type": "quiet"}))
    await clock.pass_(21)
    assert isinstance(asking.exception(), Unreachable)
    assert asking.exception().code == "timeout"  # type: ignore[union-attr]


async def test_it_refuses_a_server_of_another_protocol(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.first = {"type": "welcome", "protocol": 2}
    reader = await bench.follow()
    assert isinstance(reader.fault, ProtocolMismatch)
    assert "protocol 2" in str(reader.fault)


async def test_it_says_that_the_token_is_wrong_when_the_door_stays_shut(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.refuses, server.me = [403], 401
    reader = await bench.follow()
    assert isinstance(reader.fault, Unauthorized)


async def test_it_goes_on_trying_while_a_proxy_says_that_the_server_is_away(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    server.refuses, server.me = [502, 502, 502, 502], 502
    reader = await bench.follow()
    await clock.pass_(20)
    assert bench.opened[0].link.status == "live"
    assert reader.fault is None


async def test_it_gives_a_handshake_that_hangs_up(bench: Bench, server: FakeServer, clock: FakeClock) -> None:
    server.refuses = ["hangs"]
    await bench.follow()
    await clock.pass_(17)
    assert bench.opened[0].link.status == "live"


async def test_it_ends_everything_when_it_is_closed(
    bench: Bench, server: FakeServer, clock: FakeClock
) -> None:
    reader = await bench.follow()
    tasks = {task for task in asyncio.all_tasks() if task.get_name().startswith("nexus-")}
    assert tasks
    await bench.opened[0].close()
    await clock.settle()
    assert isinstance(reader.fault, ClientClosed)
    assert all(task.done() for task in tasks)
    assert server.socket.closed_by_client
    with pytest.raises(ClientClosed):
        async with bench.opened[0].conversation("k1"):
            pass
