"""JSON answers, and lists with cursors: `{items, nextCursor}`."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, TypeVar, cast

import orjson
from django.db import connection
from django.db.models import Model, Q, QuerySet, TextField
from django.db.models.expressions import RawSQL
from django.db.models.functions import Cast
from django.http import HttpResponse

from nexus_core.errors import NexusError

M = TypeVar("M", bound=Model)
T = TypeVar("T")

_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{1,6})?([+-]\d\d(:\d\d)?)?$")
_ID = re.compile(r"^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$")
MOST_ROWS_IN = 2**31 - 1


class BadCursor(NexusError):
    code = "invalid_cursor"
    http_status = 422

    def __init__(self) -> None:
        super().__init__(
            "This cursor is not one of ours. Take nextCursor of the page before, or leave it out."
        )


def answer(data: Any, status: int = 200) -> HttpResponse:
    """The wire object as JSON; `orjson.Fragment`s (stored chunks) go in as they are."""
    try:
        body = orjson.dumps(data)
    except (TypeError, orjson.JSONEncodeError):  # integers beyond 64 bits in a tool's input, say
        body = json.dumps(data, default=_plain, ensure_ascii=False).encode()
    return HttpResponse(body, status=status, content_type="application/json; charset=utf-8")


def _plain(value: Any) -> Any:
    if isinstance(value, orjson.Fragment):
        return json.loads(value.contents)
    return str(value)


def listed(items: Sequence[Any], next_cursor: str | None) -> HttpResponse:
    return answer({"items": items, "nextCursor": next_cursor})


def page_by_number(
    rows: Sequence[T], limit: int, number: Callable[[T], int]
) -> tuple[Sequence[T], str | None]:
    """Of `limit + 1` rows the page, and the cursor behind it: the last row's number."""
    if len(rows) <= limit:
        return rows, None
    return rows[:limit], str(number(rows[limit - 1]))


def number_of(cursor: str) -> int:
    """The number in a cursor; 0 when there is none. Raises `BadCursor`."""
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit()) or (number := int(cursor[:12])) > MOST_ROWS_IN:
        raise BadCursor()
    return number


def page_by_moment(query: QuerySet[M], field: str, cursor: str, limit: int) -> tuple[list[M], str | None]:
    """A page of rows ordered by `-field, -id`.

    The moment is compared in the database's own text: SQLite keeps some with three
    digits of a second and some with six, which Django's parameters would not match.
    """
    query = cast("QuerySet[M]", query.annotate(moment_text=Cast(field, TextField())))
    if cursor:
        moment, row_id = _unpack(cursor)
        placeholder = "%s" if connection.vendor == "sqlite" else "%s::timestamptz"
        at = RawSQL(placeholder, [moment])  # noqa: S611  (the moment is a parameter)
        query = query.filter(Q(**{f"{field}__lt": at}) | Q(**{field: at, "id__lt": row_id}))
    rows = list(query[: limit + 1])
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], _pack(last.moment_text, str(last.pk))  # type: ignore[attr-defined]


def _pack(moment: str, row_id: str) -> str:
    return base64.urlsafe_b64encode(f"{moment}|{row_id}".encode()).decode().rstrip("=")


def _unpack(cursor: str) -> tuple[str, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
    except (binascii.Error, ValueError):
        raise BadCursor() from None
    moment, _, row_id = text.partition("|")
    if not _MOMENT.match(moment) or not _ID.match(row_id) or not _exists(moment):
        raise BadCursor()
    return moment, row_id


def _exists(moment: str) -> bool:
    """There is no 31 February, which PostgreSQL would refuse."""
    try:
        datetime.strptime(moment[:19], "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return False
    return True
