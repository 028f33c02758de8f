"""From a Python function to what a model is told of it: description and JSON Schema.

Parameters are snake_case in Python and camelCase on the wire. Their descriptions
come from the docstring's `Args:` section, their schemas from the type hints by
pydantic, so a handler receives real values (enums, dates, models), not JSON.
"""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.alias_generators import to_camel

from .context import ExecutionContext

JSON = Any

_SECTION = re.compile(r"^(Args|Arguments|Parameters|Returns|Return|Raises|Yields|Examples?|Notes?):\s*$")
_PARAMETER = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")


@dataclass(frozen=True, slots=True)
class Signature:
    """What a handler takes. `context_parameter` is the name under which it wants the context, if at all."""

    description: str
    input_schema: Mapping[str, JSON]
    input_model: type[BaseModel]
    context_parameter: str | None


def read_signature(function: Callable[..., Any], *, name: str) -> Signature:
    """Reads a handler. Raises `TypeError` with the fix when it cannot be described to a model."""
    description, parameter_texts = read_docstring(function)
    if not description:
        raise TypeError(
            f"The tool {name!r} needs a docstring: its first paragraph is what the model is told."
        )
    hints = typing.get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    context_parameter: str | None = None
    for parameter in _parameters(function):
        hint = hints.get(parameter.name)
        if parameter.name == "context" or hint is ExecutionContext:
            context_parameter = parameter.name
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise TypeError(f"The tool {name!r} takes {parameter}: a tool's parameters are plain names.")
        if hint is None:
            raise TypeError(f"The parameter {parameter.name!r} of the tool {name!r} needs a type hint.")
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        text = parameter_texts.get(parameter.name)
        fields[parameter.name] = (hint, Field(default, description=text) if text else Field(default))
    unknown = set(parameter_texts) - set(fields) - {context_parameter}
    if unknown:
        raise TypeError(f"The docstring of the tool {name!r} describes unknown parameters: {sorted(unknown)}")
    model = create_model(
        f"{name}_input",
        __config__=ConfigDict(alias_generator=to_camel, populate_by_name=True, arbitrary_types_allowed=False),
        **fields,
    )
    return Signature(description, schema_of(model), model, context_parameter)


def schema_of(model: type[BaseModel]) -> dict[str, JSON]:
    """The model's JSON Schema as providers like it: no titles, references inlined, no further properties."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    plain: dict[str, JSON] = _inline(schema, definitions, ())
    if _has_reference(plain):
        plain["$defs"] = {key: _inline(value, {}, ()) for key, value in definitions.items()}
    plain.setdefault("properties", {})
    plain.setdefault("required", [])
    plain.pop("description", None)
    return {"type": "object", **plain, "additionalProperties": False}


def read_docstring(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """`(description, {parameter: text})` of a docstring in Google style."""
    lines = (inspect.getdoc(function) or "").splitlines()
    description: list[str] = []
    parameters: dict[str, str] = {}
    section: str | None = None
    indent: int | None = None
    current: str | None = None
    for line in lines:
        heading = _SECTION.match(line)
        if heading:
            section, indent, current = heading[1], None, None
        elif section is None:
            description.append(line.strip())
        elif section in ("Args", "Arguments", "Parameters") and line.strip():
            depth = len(line) - len(line.lstrip())
            indent = depth if indent is None else indent
            found = _PARAMETER.match(line.strip()) if depth == indent else None
            if found:
                current = found[1]
                parameters[current] = found[2].strip()
            elif current is not None:
                parameters[current] = f"{parameters[current]} {line.strip()}".strip()
    paragraphs = re.split(r"\n\s*\n", "\n".join(description).strip())
    return "\n\n".join(" ".join(p.split()) for p in paragraphs if p.strip()), parameters


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    parameters = list(inspect.signature(function).parameters.values())
    return parameters[1:] if parameters and parameters[0].name in ("self", "cls") else parameters


def _inline(node: Any, definitions: Mapping[str, JSON], path: tuple[str, ...]) -> Any:
    """Replaces `$ref` by its definition (a recursive one stays) and drops generated titles."""
    if isinstance(node, list):
        return [_inline(item, definitions, path) for item in node]
    if not isinstance(node, dict):
        return node
    reference = node.get("$ref")
    if isinstance(reference, str):
        target = reference.removeprefix("#/$defs/")
        if target in definitions and target not in path:
            merged = {**definitions[target], **{k: v for k, v in node.items() if k != "$ref"}}
            return _inline(merged, definitions, (*path, target))
    out: dict[str, Any] = {}
    for key, value in node.items():
        if key == "title" and isinstance(value, str):
            continue
        if key in ("properties", "$defs") and isinstance(value, dict):
            out[key] = {name: _inline(item, definitions, path) for name, item in value.items()}
        elif key in ("default", "enum", "const", "examples"):
            out[key] = value
        else:
            out[key] = _inline(value, definitions, path)
    return out


def _has_reference(node: Any) -> bool:
    if isinstance(node, dict):
        return "$ref" in node or any(_has_reference(value) for value in node.values())
    return isinstance(node, list) and any(_has_reference(item) for item in node)
