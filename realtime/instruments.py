"""What the sockets and the doorbells count; see `workspaces.instruments`."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

sockets = Gauge("nexus_sockets", "Open sockets of this process.")
socket_closes = Counter(
    "nexus_socket_closes",
    "Sockets closed by us, by code: 4008 too slow, 4009 frame too large, 4012 restart, 4401, 4403, 4429 flood.",
    ["code"],
)
hint_gaps = Counter(
    "nexus_hint_gaps",
    "Doorbells that were missed: found by the next one, or by comparing with the log.",
    ["found_by"],
)
redis_away = Gauge("nexus_redis_away", "1 while this process cannot reach Redis.")

FOUND_BY_NEXT = hint_gaps.labels("next")
FOUND_BY_LOOK = hint_gaps.labels("comparison")
