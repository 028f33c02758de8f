"""Exits with 0 when the server of this container is ready. Standard library only; used by Dockerfile and compose.yaml.

`python scripts/healthcheck.py [port]`: the port of a worker's probes, else `PORT`.
"""

from __future__ import annotations

import http.client
import os
import sys


def ready(port: int, host: str) -> bool:
    """Asks /readyz under a host name that the server accepts."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=4)
    try:
        connection.request("GET", "/readyz", headers={"Host": host})
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def accepted_host() -> str:
    """A name from ALLOWED_HOSTS; for `*` and `.example.org` one that they stand for."""
    first = os.environ.get("ALLOWED_HOSTS", "").split(",")[0].strip()
    if first in ("", "*"):
        return "localhost"
    return first.removeprefix(".")


if __name__ == "__main__":
    port = int(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT") or 8000)
    sys.exit(0 if ready(port, accepted_host()) else 1)
