"""What can be wrong with an agent's configuration."""

from __future__ import annotations

from collections.abc import Mapping

from workspaces.access import Invalid


class AgentInvalid(Invalid):
    """One or several fields are wrong; `details` says what, by the field's name in Python."""

    def __init__(self, details: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" for name, text in details.items()))
        self.details = dict(details)
