"""ExecutionContext: everything a run, its agent and its tools know of where they run [A6]."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class ExecutionContext:
    """Ids, person, cancel and injected services of one run.

    Attributes:
        run_id, conversation_id (the documents' sessionId), message_id, workspace_id, user_id:
            text ids; empty outside a host that has them.
        services: what the host injects for tools over its data, by name (Nexus puts
            `"actor"`, its access context, here). A tool that needs one calls `require`.
        cancelled: set when the run should stop.
        plan: the plan of the workspace, for `can_execute`.
    """

    run_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    workspace_id: str = ""
    user_id: str = ""
    agent_id: str = ""
    plan: str = "free"
    services: Mapping[str, Any] = field(default_factory=dict)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def session_id(self) -> str:
        """The documents' name for the conversation."""
        return self.conversation_id

    def require(self, service: str) -> Any:
        """The injected service, or a `LookupError` that says what is missing [T3]."""
        try:
            return self.services[service]
        except KeyError:
            raise LookupError(
                f"This tool needs the service {service!r} in ExecutionContext.services; "
                f"injected are: {sorted(self.services) or 'none'}"
            ) from None
