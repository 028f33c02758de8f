"""Processes that die, stand still, or are asked to stop."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from workspaces.failpoints import POINTS

from ..nodes import Node
from ..scene import Scene

HANDOVER_POINTS = ("before_release", "after_release")
WAIT_POINTS = ("after_wait",)
"""Only runs that wait for people come there; the traffic has none."""
RUN_POINTS = [point for point in POINTS if point not in (*HANDOVER_POINTS, *WAIT_POINTS)]
START_POINTS = ("before_start_commit", "after_start_commit")
WAIT_SECONDS = 20.0


async def worker_kill(scene: Scene) -> None:
    """kill -9 of a process that executes a run, at a random moment; another is started."""
    await asyncio.sleep(scene.dice.uniform(0.1, 2.0))
    node = await busy_worker(scene)
    await _kill(scene, node)


async def _kill(scene: Scene, node: Node) -> None:
    if _last(scene, node):
        scene.unable()
    node.kill()
    scene.kills += 1
    scene.struck(f"killed {node.name}")
    await _again(scene, node)


async def _again(scene: Scene, node: Node) -> None:
    """Starts it; a trial goes on meanwhile where others can do its work."""
    coming = scene.cluster.revive(node)
    if scene.able_since is None:
        await coming
        scene.able()
    scene.healed(f"{node.name} is started again")


def _last(scene: Scene, node: Node) -> bool:
    """Without it nobody executes runs."""
    return not [one for one in scene.cluster.workers if one.up and one is not node]


async def worker_kill_at_point(scene: Scene) -> None:
    """kill -9 at a fail point; whoever of the processes comes there first."""
    await _at_point(scene, scene.turn(RUN_POINTS), "kill")


async def worker_kill_in_commit(scene: Scene) -> None:
    """kill -9 while a commit of the log takes long: nobody may have seen what was in it."""
    done = scene.cluster.arm("before_commit", "delay", hit=scene.dice.randint(2, 25), seconds=5)
    if not await _happened(scene, done):
        scene.cluster.disarm()
        return
    await asyncio.sleep(scene.dice.uniform(0.2, 0.5))
    node = scene.cluster.node_of(json.loads(done.read_text())["pid"])
    assert node is not None
    await _kill(scene, node)


async def _at_point(scene: Scene, point: str, action: str) -> None:
    hit = scene.dice.choice((1, 1, 2, 3, scene.dice.randint(1, 30)) if point in BUSY else (1, 1, 2))
    done = scene.cluster.arm(point, action, hit=hit)
    scene.note(f"armed {point} for hit {hit}: {action}")
    if not await _happened(scene, done):
        scene.note(f"{point} was not reached")
        scene.cluster.disarm()
        return
    told = json.loads(done.read_text())
    node = scene.cluster.node_of(told["pid"])
    assert node is not None
    if action == "kill":
        node.ended_on_purpose = True
        while node.alive:
            await asyncio.sleep(0.005)
        if _last(scene, node):
            scene.unable()
        scene.kills += 1
        scene.struck(f"{node.name} was killed at {point}")
        await _again(scene, node)
    elif action == "stop":
        await _frozen(scene, node, f"{node.name} stood still at {point}")


BUSY = ("after_chunk", "before_commit", "after_commit")


async def _happened(scene: Scene, done: Path) -> bool:
    """False when all runs have ended without coming there; the point is not armed any more then."""
    until = time.monotonic() + WAIT_SECONDS
    while not done.exists():
        over = time.monotonic() > until or (scene.runs and not scene.going())
        if over and (_taken_back(done) or time.monotonic() > until + WAIT_SECONDS):
            return False
        await asyncio.sleep(0.01)
    return True


def _taken_back(done: Path) -> bool:
    """Whether nobody had it in their hands: the end of a run is seen while its owner is at the point behind it."""
    try:
        done.with_suffix("").unlink()
    except FileNotFoundError:
        return False
    return True


async def worker_stop(scene: Scene) -> None:
    """SIGSTOP past the lease, then SIGCONT: what it still writes must be refused."""
    await asyncio.sleep(scene.dice.uniform(0.1, 1.5))
    node = await busy_worker(scene)
    node.freeze()
    await _frozen(scene, node, f"{node.name} stood still")


async def worker_stop_at_point(scene: Scene) -> None:
    """The same at a fail point: between a check and the write that follows it."""
    points = [point for point in RUN_POINTS if point not in START_POINTS]
    await _at_point(scene, scene.turn(points), "stop")


async def _frozen(scene: Scene, node: Node, what: str) -> None:
    scene.kills += 1
    scene.struck(what)
    alone = _last(scene, node)
    if alone:
        scene.unable()
    await asyncio.sleep(scene.cluster.plan.lease_seconds * scene.dice.uniform(1.3, 2.5) + 0.5)
    node.thaw()
    scene.healed(f"{node.name} goes on")
    if alone:
        scene.able()


async def worker_term(scene: Scene) -> None:
    """SIGTERM of a worker: it hands over within ten seconds, and no run waits for its lease to end."""
    await asyncio.sleep(scene.dice.uniform(0.1, 1.5))
    node = await busy_worker(scene)
    scene.struck(f"SIGTERM to {node.name}")
    scene.kills += 1
    if _last(scene, node):
        scene.unable()
    await _ends_in_time(scene, node)
    await _again(scene, node)


async def worker_kill_in_handover(scene: Scene) -> None:
    """SIGTERM, and kill -9 just before or after it gives up the lease of a run."""
    point = scene.turn(HANDOVER_POINTS)
    await asyncio.sleep(scene.dice.uniform(0.1, 1.5))
    node = await busy_worker(scene)
    done = scene.cluster.arm(point, "kill")
    node.ask_to_stop()
    while node.alive:
        await asyncio.sleep(0.005)
    scene.kills += 1
    if _last(scene, node):
        scene.unable()
    if done.exists():
        scene.struck(f"{node.name} was killed at {point}, on its way out")
    else:
        scene.note(f"{node.name} had nothing to give up")
        scene.cluster.disarm()
    await _again(scene, node)


async def _ends_in_time(scene: Scene, node: Node) -> None:
    try:
        seconds = await node.terminate()
    except RuntimeError as fault:
        scene.violations.append(f"I10 [{node.name}] {fault}")
        return
    scene.note(f"{node.name} ended after {seconds:.1f} s")
    if seconds > 10:
        scene.violations.append(f"I10 [{node.name}] took {seconds:.1f} s to end after SIGTERM")


async def rolling_restart(scene: Scene) -> None:
    """SIGTERM of every process, one after the other, each awaited and started again: no run may fail."""
    await asyncio.sleep(scene.dice.uniform(0.1, 0.8))
    nodes = list(scene.cluster.nodes)
    scene.dice.shuffle(nodes)
    if len(nodes) == 1:
        scene.unable()
    for node in nodes:
        scene.struck(f"SIGTERM to {node.name}")
        scene.kills += 1
        await _ends_in_time(scene, node)
        await scene.cluster.revive(node)
        scene.healed(f"{node.name} is back")
    scene.able()


async def web_kill(scene: Scene) -> None:
    """kill -9 of a web process with sockets open."""
    await asyncio.sleep(scene.dice.uniform(0.2, 1.5))
    node = scene.dice.choice(scene.cluster.webs)
    node.kill()
    scene.struck(f"killed {node.name}")
    if node in scene.cluster.workers:
        scene.unable()
        scene.kills += 1
    await _again(scene, node)


async def busy_worker(scene: Scene) -> Node:
    """One that executes a run now, if one does."""
    workers = [node for node in scene.cluster.workers if node.alive and node.up]
    for _ in range(40):
        try:
            owners = {run.owner for run in await scene.cluster.inspector.unfinished() if run.owner}
        except ConnectionError:
            owners = set()
        pids = {int(owner.split(":")[1]) for owner in owners if owner.count(":") == 2}
        busy = [node for node in workers if node.pid in pids]
        if busy:
            return scene.dice.choice(busy)
        await asyncio.sleep(0.05)
    return scene.dice.choice(workers)
