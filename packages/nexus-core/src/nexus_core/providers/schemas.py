"""JSON Schemas for structured output, as the providers' strict modes want them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JSON = Any


def closed(schema: Mapping[str, JSON]) -> dict[str, JSON]:
    """The schema with `additionalProperties: false` on every object that lists its properties."""
    out = {key: _closed_value(value) for key, value in schema.items()}
    if out.get("type") == "object" and "properties" in out:
        out.setdefault("additionalProperties", False)
    return out


def _closed_value(value: JSON) -> JSON:
    if isinstance(value, Mapping):
        return closed(value)
    if isinstance(value, list):
        return [_closed_value(item) for item in value]
    return value


def fit_for_strict(schema: JSON) -> bool:
    """Whether OpenAI's strict mode takes the schema: objects closed and all their properties required."""
    if isinstance(schema, list):
        return all(fit_for_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object":
        properties = schema.get("properties")
        if not isinstance(properties, Mapping) or schema.get("additionalProperties") is not False:
            return False
        if set(properties) != set(schema.get("required") or ()):
            return False
    return all(fit_for_strict(value) for value in schema.values() if isinstance(value, Mapping | list))
