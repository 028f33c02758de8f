"""The cursor of a list that is read newest first: the moment and the id of the last row told, so that nothing is told twice."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from .access import Invalid

Key = TypeVar("Key")


def cursor_of(at: datetime, key: object) -> str:
    return base64.urlsafe_b64encode(f"{at.isoformat()}|{key}".encode()).decode().rstrip("=")


def place_of(cursor: str, key_of: Callable[[str], Key]) -> tuple[datetime, Key]:
    """The moment and the id, which `key_of` reads, with `ValueError` for what is none.

    Raises `Invalid` for what is no cursor of ours.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        at, _, key = text.partition("|")
        when = datetime.fromisoformat(at)
        if when.tzinfo is None or not 1900 <= when.year <= 9000:  # beyond, a change of time zone overflows
            raise ValueError("no moment of ours")
        return when, key_of(key)
    except (ValueError, binascii.Error, UnicodeError):
        raise Invalid("This cursor is not one of ours.") from None
