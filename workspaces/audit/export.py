"""The audit as CSV: a row per event, newest first, formulas defused."""

from __future__ import annotations

import orjson

from workspaces.access import Actor
from workspaces.sheets import lines

from .reads import Chosen, Place, rows_after, wires

COLUMNS = (
    "id", "createdAt", "type", "group", "outcome", "actorKind", "actorId", "actorName", "agentId", "tokenId",
    "tokenName", "targetType", "targetId", "targetName", "requestId", "ip", "metadata",
)  # fmt: skip
PAGE = 2000


def csv_header() -> str:
    return lines([COLUMNS])


def csv_page(actor: Actor, chosen: Chosen, after: Place | None) -> tuple[str, Place | None]:
    """The next lines and where to go on (`None`: that was all)."""
    rows, place = rows_after(actor, chosen, after, PAGE)
    found = [wire | {"metadata": orjson.dumps(wire["metadata"]).decode()} for wire in wires(actor, rows)]
    return lines([wire[column] for column in COLUMNS] for wire in found), place
