"""A client for a Nexus server: async, typed, and hard to stop.

    async with NexusClient("http://127.0.0.1:8000", token="nxs_…") as nexus:
        async for chunk in nexus.ask("claude", "Hello"):
            ...

It needs no more than `nexus-core` itself; with `nexus-core[client]` (the package `websockets`) it
watches by socket, without it by server-sent events.
"""

from .client import NexusClient
from .clock import Clock, SystemClock
from .errors import (
    BudgetExceeded,
    ClientClosed,
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ProtocolMismatch,
    Refused,
    RunFailed,
    RunInProgress,
    ServerFault,
    SocketBlocked,
    TooManyRequests,
    Unauthorized,
    Unreachable,
)
from .live import (
    ActivityRecorded,
    ChunkAdded,
    ConversationChanged,
    Event,
    Joined,
    LiveConversation,
    MessageAdded,
    Other,
    PresenceChanged,
    RunChanged,
)
from .run import Answer, RunHandle
from .state import ConversationView
from .view import AnyChunk, RunView, UnknownChunk

__all__ = [
    "ActivityRecorded",
    "Answer",
    "AnyChunk",
    "BudgetExceeded",
    "ChunkAdded",
    "ClientClosed",
    "ClientError",
    "Clock",
    "Conflict",
    "ConversationChanged",
    "ConversationView",
    "Event",
    "Forbidden",
    "Invalid",
    "Joined",
    "LiveConversation",
    "MessageAdded",
    "NexusClient",
    "NotFound",
    "Other",
    "PresenceChanged",
    "ProtocolMismatch",
    "Refused",
    "RunChanged",
    "RunFailed",
    "RunHandle",
    "RunInProgress",
    "RunView",
    "ServerFault",
    "SocketBlocked",
    "SystemClock",
    "TooManyRequests",
    "Unauthorized",
    "UnknownChunk",
    "Unreachable",
]
