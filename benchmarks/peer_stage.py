"""`make bench-peers`: Nexus, the bare relay and the peers, round by round behind the same raw clients."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import uvloop

from scripts.services import ServiceMissing

from .capacity import SLOW, Ladder, capacity
from .measure import measure
from .nexus_peer import nexus
from .others.chainlit import chainlit
from .others.channels import channels
from .others.litellm import litellm
from .others.open_webui import open_webui
from .peers import Peer, relay
from .stages import Bed, Size
from .targets import UVICORN

Start = Callable[[Path, set[int], str], contextlib.AbstractContextManager[Any]]
PEERS: dict[str, Start] = {
    "channels": channels,
    "chainlit": chainlit,
    "litellm": litellm,
    "open-webui": open_webui,
}
# What the slowest peers still get through in a round of a minute.
LEAN = {"full_chunks": 1500, "full_times": 1, "many_chunks": 60, "paced": (50,), "idle_sockets": 50}


def peers_stage(bed: Bed, size: Size, names: Sequence[str]) -> None:
    """A peer that cannot be installed or does not start is named, and left out."""
    plan = replace(size.plan, paced_chunks=min(size.plan.paced_chunks, 100), first_tokens=10, **LEAN)  # type: ignore[arg-type]
    with bed.scratch("peers") as folder, contextlib.ExitStack() as stack:
        every: list[Peer] = [stack.enter_context(relay(folder, bed.core, bed.provider_url))]
        every.append(
            stack.enter_context(
                nexus("uvicorn", folder, bed.core, bed.provider_url, people=plan.people, title=UVICORN)
            )
        )
        for name in names:
            print(f"starting {name} …", flush=True)
            try:
                every.append(stack.enter_context(PEERS[name](folder, bed.core, bed.provider_url)))
            except (ServiceMissing, RuntimeError, OSError) as why:
                print(f"\n*** {name} IS NOT MEASURED: {str(why)[:600]}\n", flush=True)
                bed.results.unmeasured[name] = str(why).splitlines()[0][:200]
        uvloop.run(measure(every, bed.provider_url, plan, bed.results))
        for peer in every[1:]:
            steps = Ladder() if peer.name == UVICORN else SLOW
            print(f"streams per core: {peer.name}", flush=True)
            try:
                uvloop.run(capacity(peer, bed.provider_url, steps, plan.people, bed.results))
            except (TimeoutError, ConnectionError, RuntimeError) as fault:
                bed.results.unmeasured[f"streams per core, {peer.name}"] = str(fault)[:200]
