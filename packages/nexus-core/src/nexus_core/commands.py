"""Slash commands: `/search "exact words" limit=5` [T5].

Parsing is free of any tool; `arguments_for` maps what was typed to a tool's input:
`key=value` where the tool has that parameter, and all other text to the first
required parameter that is a string (else the first string parameter).
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import ToolInputInvalid
from .tools import Tool, Toolset

JSON = Any

_COMMAND = re.compile(r"^/([A-Za-z][A-Za-z0-9_-]*)(?:\s+(.*))?$", re.DOTALL)
_OPTION = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """`/name text`: `text` is everything behind the name, as typed, without outer blanks."""

    name: str
    text: str


def parse_command(text: str) -> Command | None:
    """The command of a line that begins with a slash and a letter; `None` for any other text (`/ 2`, `a/b`, `//`)."""
    found = _COMMAND.match(text.strip())
    return Command(found[1].lower(), (found[2] or "").strip()) if found else None


def arguments_for(tool: Tool, text: str) -> dict[str, JSON]:
    """The tool's input from what was typed. Raises `ToolInputInvalid` with the usage line."""
    properties: Mapping[str, Mapping[str, JSON]] = tool.input_schema.get("properties", {})
    wire_names = {name.lower(): name for name in properties}
    free: list[str] = []
    arguments: dict[str, JSON] = {}
    for word in _words(text):
        option = _OPTION.match(word)
        name = (
            wire_names.get(option[1].replace("_", "").lower()) or wire_names.get(option[1].lower())
            if option
            else None
        )
        if option and name:
            arguments[name] = _value(option[2], properties[name])
        else:
            free.append(word)
    if free:
        target = _free_parameter(tool, arguments)
        if target is None:
            raise ToolInputInvalid(f"/{tool.command} does not take {' '.join(free)!r}. Usage: {usage(tool)}")
        arguments[target] = _value(" ".join(free) if arguments else _unquoted(text), properties[target])
    try:
        return tool.validate(arguments)
    except ToolInputInvalid as error:
        raise ToolInputInvalid(f"{error.message}. Usage: {usage(tool)}", cause=error) from error


def resolve(tools: Toolset, text: str) -> tuple[Tool, dict[str, JSON]] | None:
    """The tool and input of a line, `None` if it is no command. Raises `ToolNotFound`, `ToolInputInvalid`."""
    command = parse_command(text)
    if command is None:
        return None
    found = tools.for_command(command.name)
    return found, arguments_for(found, command.text)


def usage(tool: Tool) -> str:
    """`/search QUERY [limit=…]`."""
    properties = tool.input_schema.get("properties", {})
    required = tool.input_schema.get("required", [])
    free = _free_parameter(tool, {})
    words = [f"/{tool.command}"]
    for name in properties:
        shown = name.upper() if name == free else f"{name}=…"
        words.append(shown if name in required else f"[{shown}]")
    return " ".join(words)


def _words(text: str) -> list[str]:
    """Words with quotes honoured; a lone quote (`don't`) is taken as a letter."""
    try:
        return shlex.split(text, comments=False)
    except ValueError:
        return text.split()


def _unquoted(text: str) -> str:
    """The text as typed, without a pair of quotes around the whole of it."""
    words = _words(text)
    return words[0] if len(words) == 1 else text


def _free_parameter(tool: Tool, taken: Mapping[str, JSON]) -> str | None:
    properties = tool.input_schema.get("properties", {})
    required = tool.input_schema.get("required", [])
    order = [n for n in properties if n in required] + [n for n in properties if n not in required]
    return next((n for n in order if n not in taken and "string" in _types(properties[n])), None)


def _types(schema: Mapping[str, JSON]) -> set[str]:
    if "enum" in schema:
        return {"string"} if all(isinstance(v, str) for v in schema["enum"]) else set()
    kinds = schema.get("type")
    own = {kinds} if isinstance(kinds, str) else set(kinds or ())
    return own.union(*(_types(option) for option in schema.get("anyOf", ())))


def _value(text: str, schema: Mapping[str, JSON]) -> JSON:
    """Typed text as the JSON the parameter wants; what does not fit stays text, for the validation to refuse."""
    kinds = _types(schema)
    if "string" in kinds:
        return text
    if "integer" in kinds and re.fullmatch(r"[+-]?\d+", text):
        return int(text)
    if "number" in kinds and re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", text):
        return float(text)
    if "boolean" in kinds and text.lower() in ("true", "yes", "on", "1", "false", "no", "off", "0"):
        return text.lower() in ("true", "yes", "on", "1")
    if "array" in kinds:
        items = schema.get("items", {})
        return [_value(part.strip(), items) for part in text.split(",") if part.strip()]
    return text
