"""I4: what was acknowledged survives; the same client id, however often it was sent, is one message and one run."""

from __future__ import annotations

from ..scene import Scene


def check(scene: Scene) -> list[str]:
    found: list[str] = []
    for run in scene.runs:
        name = run.play.key
        if run.started is None:
            found.append(f"I4 [{name}] was never accepted")
        elif run.stored is None:
            found.append(
                f"I4 [{name}] was accepted as {run.started.run_id}, which the database does not have"
            )
        elif run.stored.asked != 1:
            found.append(f"I4 [{name}] the person's message is there {run.stored.asked} times")
    return found


async def check_client_ids(scene: Scene) -> list[str]:
    """Asks the database anew: a second run of the same client id would be nobody's."""
    found: list[str] = []
    for run in scene.runs:
        runs = await scene.cluster.inspector.runs_of(run.client_id)
        known = [] if run.started is None else [run.started.run_id]
        if runs != known:
            found.append(
                f"I4 [{run.play.key}] client id {run.client_id} has the runs {runs}, told was {known}"
            )
    return found
