"""Reading what a provider streamed: JSON of an event, arguments of a tool call."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import orjson

from ..messages import ToolCallPart

JSON = Any

# An escaped surrogate that has lost its other half: Python servers write them, no JSON reader takes them.
_LONE_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|(?<!\\)((?:\\\\)*)\\u[dD][89a-fA-F][0-9a-fA-F]{2}"
)


def read_json(data: bytes) -> JSON:
    """The JSON value of an event's data. Raises `ValueError` if it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        if b"\\u" not in data:
            raise
    return orjson.loads(_LONE_SURROGATE.sub(_replaced, data))


def _replaced(found: re.Match[bytes]) -> bytes:
    return found[0] if found[2] else found[3] + b"\\ufffd"


def new_call_id() -> str:
    """An id for a call to which its provider gave none."""
    return f"call_{uuid4().hex[:24]}"


def tool_call(
    call_id: str, name: str, arguments: str, provider: str, provider_data: Mapping[str, JSON] | None = None
) -> ToolCallPart:
    """The finished call. Arguments that are no JSON object are kept under `invalid_json`."""
    try:
        value = read_json(arguments.encode("utf-8", "replace")) if arguments.strip() else {}
    except ValueError:
        value = None
    else:
        value = {} if value is None else value
    if not isinstance(value, dict):
        provider_data = {**(provider_data or {}), "invalid_json": arguments}
        value = {}
    return ToolCallPart(call_id or new_call_id(), name, value, provider, provider_data)
