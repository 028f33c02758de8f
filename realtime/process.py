"""Start and stop of everything realtime in a server or worker process, on its event loop."""

from __future__ import annotations

from .hub import close_hub, hub
from .lookout import close_lookout
from .presence_news import close_news
from .resync import close_resync
from .sockets import close_sockets


def start_realtime() -> None:
    """From here on frames of other processes can arrive; without it the first socket does the same."""
    hub()


async def stop_realtime() -> None:
    """Clients are told to come back (4012), this process's people leave the lists, connections end."""
    await close_sockets()
    await close_lookout()
    await close_resync()
    await close_news()
    await close_hub()
