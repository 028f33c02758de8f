"""What a higher floor tells of a span beside money: how its tools and runs did. `conversations` registers the reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from billing.dashboard import Chosen, scope_of, span_wire
from billing.reading import Scope
from workspaces.access import Actor

Reader = Callable[[Scope], dict[str, Any]]
"""`{"tools": […], "recovery": {…}}` of a scope, as in `schemas.Reliability`."""

_reader: list[Reader] = []


def register_reliability(reader: Reader) -> None:
    """The last one registered counts."""
    _reader[:] = [reader]


def usage_reliability(actor: Actor, chosen: Chosen) -> dict[str, Any]:
    scope = scope_of(actor, chosen)
    return {"span": span_wire(scope.span), **_reader[0](scope)}
