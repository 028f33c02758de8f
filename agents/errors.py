"""What can be wrong with an agent's configuration."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic.alias_generators import to_camel

from workspaces.access import Invalid


class AgentInvalid(Invalid):
    """One or several fields are wrong.

    `fields` says what by the field's name in Python, `details` by its name on the wire.
    """

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{to_camel(name)}: {text}" for name, text in fields.items()))
        self.fields = dict(fields)
        self.details = [{"field": to_camel(name), "message": text} for name, text in fields.items()]
