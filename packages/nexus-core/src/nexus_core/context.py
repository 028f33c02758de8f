"""ExecutionContext: everything a run, its agent and its tools know of where they run [A6]."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from .progress import Report, Reports
from .usage import usd_to_pico


@dataclass(slots=True)
class Charges:
    """What a tool call reported that it cost, in pico-USD."""

    pico: int = 0


@dataclass(slots=True)
class ExecutionContext:
    """Ids, person, cancel and injected services of one run.

    Attributes:
        run_id, conversation_id (the documents' sessionId), message_id, workspace_id, user_id:
            text ids; empty outside a host that has them.
        services: what the host injects for tools over its data, by name (Nexus puts
            `"actor"`, its access context, here). A tool that needs one calls `require`.
        cancelled: set when the run should stop.
        plan: the plan of the workspace, by name.
        premium: whether that plan has premium agents and tools; None: every plan but "free" does.
        tool_id: the tool call that this context was given to; empty for the agent itself.
        reports: what `progress` told and nobody has shown yet.
        charges: what the tool call reported by `charge`.
    """

    run_id: str = ""
    conversation_id: str = ""
    message_id: str = ""
    workspace_id: str = ""
    user_id: str = ""
    agent_id: str = ""
    plan: str = "free"
    premium: bool | None = None
    services: Mapping[str, Any] = field(default_factory=dict)
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    tool_id: str = ""
    reports: Reports = field(default_factory=Reports, compare=False)
    charges: Charges = field(default_factory=Charges, compare=False)

    def charge(self, usd: Decimal | str | int) -> None:
        """Reports what this tool call cost, in US dollars (`"0.005"`); several reports add up.

        It is booked with the call's end, whatever that is, and counts against the budgets. Never a float.
        Raises `ValueError` for what is no amount of at least 0.
        """
        self.charges.pico += usd_to_pico(usd)

    def progress(
        self,
        percentage: float | None = None,
        *,
        current_step: int | None = None,
        total_steps: int | None = None,
        remaining_seconds: float | None = None,
        message: str = "",
    ) -> None:
        """Tells the people who watch how far this tool call, or for an agent the run, has come [G1].

        Call it as often as you like, from any thread: what is shown is the newest, a few times a second,
        and a percentage that fell is not. A tool's report is shown at once, an agent's with its next chunk.

        Args:
            percentage: 0 to 100; reckoned from the steps when it is left out.
            current_step, total_steps: steps done, and how many there are.
            remaining_seconds: reckoned from the pace so far when it is left out.
            message: what is being done, a few words.
        """
        self.reports.add(
            Report(self.tool_id, percentage, current_step, total_steps, remaining_seconds, message)
        )

    @property
    def is_premium(self) -> bool:
        """Whether premium agents and tools may be used, for `can_execute` and `requires_premium`."""
        return self.plan not in ("", "free") if self.premium is None else self.premium

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
