"""Any Python value as JSON that every store and every provider takes.

Strings lose NUL (PostgreSQL refuses it) and lone surrogates (UTF-8 cannot carry
them); NaN and infinities become null; dates, UUIDs, enums, dataclasses and models
become what pydantic makes of them. What pydantic does not know becomes its `str`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from pydantic_core import to_jsonable_python

JSON = Any

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def clean_text(text: str) -> str:
    """The text with NUL and lone surrogates replaced by U+FFFD."""
    return _UNSTORABLE.sub("�", text) if _UNSTORABLE.search(text) else text


def json_safe(value: Any) -> JSON:
    """The value as JSON (dict, list, str, int, float, bool, None)."""
    return _clean(to_jsonable_python(value, fallback=str, by_alias=True, bytes_mode="base64"))


def json_text(value: JSON) -> str:
    """Compact JSON text of an already safe value: what a model reads of a tool's result."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _clean(value: Any) -> JSON:
    match value:
        case str():
            return clean_text(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {clean_text(str(key)): _clean(item) for key, item in value.items()}
        case list():
            return [_clean(item) for item in value]
        case _:
            return value
