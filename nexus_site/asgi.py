"""The ASGI application: HTTP to Django, sockets to the consumer, and the engine's start and stop.

Servers with lifespan (uvicorn) start the engine by it. Daphne sends none: there the
reactor starts it when it runs, and drains it before it stops.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus_site.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()

from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from channels.sessions import CookieMiddleware, SessionMiddleware  # noqa: E402
from django.urls import path  # noqa: E402

from conversations.engine.last_resort import end_in_any_case, leave  # noqa: E402
from conversations.engine.start import EngineHost  # noqa: E402
from realtime.consumer import NexusConsumer  # noqa: E402
from realtime.ending import hear_signals  # noqa: E402

from .access_log import ours_instead  # noqa: E402

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

SERVER_FRAME_BYTES = 8 * 1024 * 1024
host = EngineHost("web")
_protocols = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": CookieMiddleware(SessionMiddleware(URLRouter([path("ws/", NexusConsumer.as_asgi())]))),
    }
)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await host.start()
            except SystemExit as refusal:
                await send({"type": "lifespan.startup.failed", "message": str(refusal)})
                return
            hear_signals()
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            last_resort = end_in_any_case()
            await host.stop()
            last_resort.cancel()
            await send({"type": "lifespan.shutdown.complete"})
            return


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
        return
    await _protocols(scope, receive, send)


def _under_daphne() -> None:
    """Has the engine started when Daphne's reactor runs, and drained before it stops."""
    from daphne.http_protocol import WebRequest
    from daphne.server import Server
    from twisted.internet import reactor as installed

    reactor: Any = installed

    # Daphne's own limit drops the connection without a word; above ours, the consumer can say why (4009).
    limited = Server.run

    def run(server: Any) -> None:
        server.websocket_max_message_size = SERVER_FRAME_BYTES
        server.websocket_max_frame_size = SERVER_FRAME_BYTES
        server.action_logger = ours_instead(server.action_logger, sys.stdout)
        limited(server)

    Server.run = run
    refuse = WebRequest.handle_exception

    def cut_or_refuse(request: Any, fault: BaseException) -> None:
        # Behind the first byte there is no status to give any more. Daphne would try, which leaves the connection
        # open for ever and ends the job that looks after all the others.
        if request._response_started:
            request.loseConnection()
        else:
            refuse(request, fault)

    WebRequest.handle_exception = cut_or_refuse
    from twisted.internet.defer import Deferred

    def start() -> None:
        def started(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and (fault := task.exception()) is not None:
                sys.stderr.write(f"{fault}\n")
                reactor.callFromThread(_exit, reactor)

        asyncio.get_event_loop().create_task(_start_or_refuse()).add_done_callback(started)

    def drain() -> Deferred[Any]:
        end_in_any_case()
        return Deferred.fromFuture(asyncio.ensure_future(host.stop()))

    reactor.callWhenRunning(start)
    reactor.addSystemEventTrigger("before", "shutdown", drain)
    reactor.addSystemEventTrigger("after", "shutdown", leave)


class StartRefused(RuntimeError):
    """The engine may not start here; the message says why and what to do."""


async def _start_or_refuse() -> None:
    # SystemExit inside a task would end the loop half way: it is turned into a plain error.
    try:
        await host.start()
    except SystemExit as refusal:
        raise StartRefused(str(refusal)) from None


def _exit(reactor: Any) -> None:
    """Stops Daphne with a failure that the shell sees."""
    reactor.addSystemEventTrigger("during", "shutdown", lambda: os._exit(1))
    reactor.stop()


if "daphne.server" in sys.modules:
    _under_daphne()
