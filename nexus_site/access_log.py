"""Daphne's access log in our form: one line a request or socket, with codes and the path, never its query.

Daphne writes plain lines of its own to the standard output unless it is told where else; these would stand
between our lines. A line of a probe is at DEBUG: orchestrators and scrapers ask every few seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

log = logging.getLogger(__name__)

SECRETS = ("/join/", "/s/", "/accounts/password/reset/key/")
"""What stands behind these in a path opens something: it is in no line."""
PROBES = frozenset({"/livez", "/readyz", "/metrics"})
SOCKET_LINES = {"connected": "socket opened", "rejected": "socket refused", "disconnected": "socket closed"}

ActionLogger = Callable[[str, str, Mapping[str, Any]], None]


def log_action(protocol: str, action: str, details: Mapping[str, Any]) -> None:
    """What Daphne calls for every request that is answered and every change of a socket."""
    path = _path(details.get("path"))
    if protocol == "http" and action == "complete":
        log.log(
            logging.DEBUG if path in PROBES else logging.INFO,
            "request",
            extra={
                "method": details["method"],
                "path": path,
                "http_status": details["status"],
                "duration_ms": round(details["time_taken"] * 1000),
            },
        )
    elif protocol == "websocket" and action in SOCKET_LINES:
        log.info(SOCKET_LINES[action], extra={"path": path})


def ours_instead(theirs: ActionLogger | None, standard_output: object) -> ActionLogger | None:
    """Ours in place of Daphne's on the standard output; none stays none, and a file of its own stays so."""
    return log_action if getattr(theirs, "stream", None) is standard_output else theirs


def _path(address: object) -> str:
    text = address.decode("utf-8", "replace") if isinstance(address, bytes) else str(address or "")
    path = text.partition("?")[0]
    return next((f"{start}…" for start in SECRETS if path.startswith(start) and path != start), path)
