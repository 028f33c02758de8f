"""A worker's own `/livez`, `/readyz` and `/metrics`, where `NEXUS_WORKER_PORT` names a port.

The same application as a web process answers them; every other address is closed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn
from django.core.asgi import get_asgi_application

PATHS = ("/livez", "/readyz", "/metrics")
START_SECONDS = 5.0


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listens = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listens.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The worker hears them itself."""
        yield


@contextlib.asynccontextmanager
async def probes(host: str, port: int) -> AsyncIterator[int]:
    """Answers within the block; gives the port (0 picks one). A taken port raises `OSError`."""
    config = uvicorn.Config(
        _only_probes(get_asgi_application()),
        host=host,
        port=port,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    server = _Server(config)
    sock = _bind(host, port)
    serving = asyncio.create_task(server.serve(sockets=[sock]), name="worker-probes")
    try:
        async with asyncio.timeout(START_SECONDS):
            await server.listens.wait()
        yield sock.getsockname()[1]
    finally:
        server.should_exit = True
        await asyncio.wait({serving}, timeout=START_SECONDS)
        sock.close()


def _bind(host: str, port: int) -> socket.socket:
    """By hand, because uvicorn ends the process where a port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def _only_probes(application: Any) -> Any:
    async def answering(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] in PATHS:
            await application(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    return answering
