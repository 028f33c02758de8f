"""The table of metrics in docs/guides/observability.md, from what the instruments register."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

GUIDE = Path(__file__).resolve().parent / "guides" / "observability.md"
_TABLE = re.compile(r"(<!-- metrics -->\n).*?(<!-- end of metrics -->)", re.DOTALL)
FROM_THE_DATABASE = {
    "nexus_runs_unfinished": ("gauge", ["status"], "Runs of all processes that have not ended."),
    "nexus_queue_depth": ("gauge", [], "Runs of all processes that wait for their turn or a worker."),
    "nexus_docket_stream_depth": (
        "gauge",
        [],
        "With Redis: deliveries in the docket stream that no worker has finished.",
    ),
}
"""These ask the database when they are read: their names stand here, and a test compares."""


def families() -> Iterator[tuple[str, str, list[str], str]]:
    """`(name as Prometheus shows it, type, labels, words)` of every metric of ours, by name."""
    from prometheus_client import REGISTRY

    import nexus_site.metrics  # noqa: F401  (loads every instrument)
    from conversations.instruments import Queue

    found: dict[str, tuple[str, list[str], str]] = dict(FROM_THE_DATABASE)
    collectors: Any = set(REGISTRY._collector_to_names)
    for collector in collectors:
        if isinstance(collector, Queue):
            continue
        labels = list(getattr(collector, "_labelnames", ()))
        for family in getattr(collector, "describe", collector.collect)():
            if family.name.startswith("nexus_"):
                name = family.name + ("_total" if family.type == "counter" else "")
                found[name] = family.type, labels, family.documentation
    for name, (kind, labels, words) in sorted(found.items()):
        yield name, kind, labels, words


def page() -> str:
    """The guide with its table as it should be."""
    rows = ["| metric | type | labels | |", "|---|---|---|---|"]
    for name, kind, labels, words in families():
        named = " ".join(f"`{label}`" for label in labels)
        rows.append(f"| `{name}` | {kind} | {named} | {words} |")
    return _TABLE.sub(lambda found: found[1] + "\n".join(rows) + "\n" + found[2], GUIDE.read_text())
