"""Which tool calls need a person's yes, and how a script without a host gives it.

A rule is `True` (every call), a JSON schema (the calls whose arguments fit it) or a
function of the arguments. A host decides who may say yes and remembers it; here is
only the question whether anybody has to be asked.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from jsonschema.exceptions import SchemaError
from jsonschema.validators import Draft202012Validator

from .ports import Decision, ToolRecord

JSON = Any
ApprovalRule = bool | Mapping[str, JSON] | Callable[[Mapping[str, JSON]], bool]
"""`True`, `False`, a JSON schema over the arguments, or a function of them that says whether to ask."""

Approve = Callable[[ToolRecord], "bool | str | Decision | Awaitable[bool | str | Decision]"]
"""Decides at once: yes or no; a text is the answer to a question (`call_human`) or else a no and its reason."""

_log = logging.getLogger(__name__)


def needs_approval(rule: ApprovalRule, input: Mapping[str, JSON]) -> bool:
    """Whether a call with these arguments has to wait. A rule that fails asks: better once too often."""
    if isinstance(rule, bool):
        return rule
    try:
        if isinstance(rule, Mapping):
            return Draft202012Validator(rule).is_valid(dict(input))
        return bool(rule(input))
    except Exception as fault:
        _log.error("an approval rule failed, so a person is asked: %s", type(fault).__name__, exc_info=fault)
        return True


def check_rule(rule: Mapping[str, JSON]) -> str:
    """What is wrong with a JSON schema that is to be a rule, or an empty string."""
    try:
        Draft202012Validator.check_schema(rule)
    except SchemaError as fault:
        return fault.message
    return ""


class AskHere:
    """`Approvals` by a function: `ModelAgent(…, approve=lambda call: input(f"{call.name}? ") == "y")`."""

    def __init__(self, approve: Approve) -> None:
        self._approve = approve

    async def known(self, call: ToolRecord) -> Decision | None:
        return None

    async def decide(self, call: ToolRecord) -> Decision | None:
        said = self._approve(call)
        if inspect.isawaitable(said):
            said = await said
        if isinstance(said, Decision):
            return said
        if isinstance(said, str):
            return Decision(call.question, "" if call.question else said, answer=said)
        return Decision(bool(said))
