"""Statements that are built once and run often: the ORM's own SQL without the ORM's price per query.

Building a query costs Django more than most databases need to answer it. Where a message
starts or ends, and only there, a query is compiled at first use and run again with other
values (`Compiled`), and rows go in and out by a model's own fields (`Table`). What is
allowed and what is stored is still said once, by the querysets and models themselves.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID, uuid4

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Field, ForeignKey, Model, QuerySet, UUIDField
from django.db.models.base import ModelState
from django.db.models.expressions import DatabaseDefault
from django.db.models.functions import Now

M = TypeVar("M", bound=Model)

Converter = Callable[[Any, Any, Any], Any]

_known: dict[object, Any] = {}
"""What was built, by database vendor and purpose. Made twice by two threads at once it is the same."""


@functools.cache
def vendor() -> str:
    """Of the one database there is; asking the connection takes a look-up by thread and alias."""
    return str(connection.vendor)


def _prepared(key: object, make: Callable[[], Any]) -> Any:
    key = (vendor(), key)
    found = _known.get(key)
    if found is None:
        found = _known[key] = make()
    return found


def here() -> BaseDatabaseWrapper:
    """This thread's connection itself: the proxy `django.db.connection` looks it up at every attribute."""
    return connections[DEFAULT_DB_ALIAS]


def clock() -> str:
    """The database's clock as SQL, as Django's `Now()` writes it."""
    if vendor() == "sqlite":
        return "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')"
    return "STATEMENT_TIMESTAMP()"


def as_id(value: UUID | None) -> Any:
    """A UUID as a parameter."""
    return value.hex if value is not None and vendor() == "sqlite" else value


def from_id(value: Any) -> UUID | None:
    """A UUID out of a row."""
    return UUID(hex=value) if isinstance(value, str) else value


class Table(Generic[M]):
    """Rows of a model, in and out, as `save` and a queryset would store and read them. No signals, no parents."""

    def __init__(self, model: type[M]) -> None:
        self.model = model
        self.name = model._meta.db_table
        self._fields: tuple[Field[Any, Any], ...] = tuple(model._meta.concrete_fields)
        self._attnames = [field.attname for field in self._fields]
        self._ways = [_Way(field) for field in self._fields]
        self._by_name = dict(zip(self._attnames, self._ways, strict=True))
        self._key = self._fields.index(model._meta.pk)
        self.width = len(self._fields)
        self.columns = ", ".join(f'"{self.name}"."{field.column}"' for field in self._fields)
        """All columns, for `SELECT` or `RETURNING`; `read` takes such a row."""

    def insert(self, *rows: M, returning: str = "", parameters: Sequence[Any] = ()) -> tuple[Any, ...] | None:
        """One INSERT. Unset fields with a database default, and automatic keys, are left to the database; a
        `Now()` is its clock; all rows must be alike in that. Raises what the database raises.

        `returning` is an SQL expression with its `parameters`, asked along with it; its value for the first row.
        """
        db = here()
        kinds = [_kind(row_value) for row_value in map(rows[0].__dict__.get, self._attnames)]
        if kinds[self._key] == "%s" and rows[0].__dict__[self._attnames[self._key]] is None:
            kinds[self._key] = ""
        names, marks = _prepared((self.name, "".join(kinds)), lambda: self._insert_text(kinds))
        given = [way for way, kind in zip(self._ways, kinds, strict=True) if kind == "%s"]
        values = [way.value(row, db) for row in rows for way in given]
        every = ", ".join([marks] * len(rows))
        with db.cursor() as cursor:
            text = f'INSERT INTO "{self.name}" ({names}) VALUES {every}'  # noqa: S608
            if returning:
                cursor.execute(f"{text} RETURNING {returning}", [*values, *parameters])
                found: tuple[Any, ...] | None = cursor.fetchall()[0]
            else:
                cursor.execute(text, values)
                found = None
        for row in rows:
            row._state.adding = False
            row._state.db = db.alias
        return found

    def _insert_text(self, kinds: Sequence[str]) -> tuple[str, str]:
        chosen = [(f, k) for f, k in zip(self._fields, kinds, strict=True) if k]
        marks = ", ".join(clock() if kind == "now" else kind for _, kind in chosen)
        return ", ".join(f'"{field.column}"' for field, _ in chosen), f"({marks})"

    def read(self, values: Sequence[Any]) -> M:
        """The row of `columns` as an instance; further values behind them are left alone."""
        db = here()
        found = dict(zip(self._attnames, values, strict=False))
        for place, field_converters, column in _prepared(
            (self.name, "read"), lambda: _converters(self._fields)
        ):
            name = self._attnames[place]
            for convert in field_converters:
                found[name] = convert(found[name], column, db)
        # What `from_db` does, without asking every field for its default first.
        row = self.model.__new__(self.model)
        row._state = ModelState()
        row._state.adding = False
        row._state.db = db.alias
        row.__dict__.update(found)
        return row

    def assign(self, **values: Any) -> tuple[str, list[Any]]:
        """`("name" = %s, …)` of an UPDATE and its parameters, by attribute names."""
        db = here()
        ways = [self._by_name[name] for name in values]
        return (
            ", ".join(f'"{way.field.column}" = %s' for way in ways),
            [way.parameter(value, db) for way, value in zip(ways, values.values(), strict=True)],
        )


class _Way:
    """How values of one field become parameters: as they are where `get_db_prep_save` would not change them."""

    def __init__(self, field: Field[Any, Any]) -> None:
        self.field = field
        target = field.target_field if isinstance(field, ForeignKey) else field
        self._plain = _PLAIN.get(type(target).__name__, ())
        self._is_id = isinstance(target, UUIDField)
        self._is_moment = isinstance(target, DateTimeField)
        self._as_it_is = type(field).pre_save is Field.pre_save or (
            self._is_moment and not (field.auto_now or field.auto_now_add)  # type: ignore[attr-defined]
        )

    def value(self, row: Model, db: BaseDatabaseWrapper) -> Any:
        """Of that row, as an INSERT stores it."""
        if self._as_it_is:
            return self.parameter(row.__dict__.get(self.field.attname), db)
        return self.parameter(self.field.pre_save(row, True), db)

    def parameter(self, value: Any, db: BaseDatabaseWrapper) -> Any:
        if value is None or type(value) in self._plain:
            return value
        if self._is_id and type(value) is UUID:
            return as_id(value)
        if self._is_moment and type(value) is datetime and value.tzinfo is UTC:
            return str(value.replace(tzinfo=None)) if vendor() == "sqlite" else value
        return self.field.get_db_prep_save(value, db)


_PLAIN: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("CharField", "SlugField", "TextField"), (str,)),
    **dict.fromkeys(("PositiveIntegerField", "IntegerField", "BigIntegerField"), (int,)),
    "BooleanField": (bool,),
    "FloatField": (float,),
}


def _kind(value: Any) -> str:
    """How a value goes into an INSERT: left out (empty), the database's clock, or as a parameter."""
    if type(value) in (str, int, bool, UUID) or value is None:
        return "%s"
    if isinstance(value, DatabaseDefault):
        return ""
    return "now" if isinstance(value, Now) else "%s"


def _converters(fields: Iterable[Field[Any, Any]]) -> list[tuple[int, list[Converter], Any]]:
    out = []
    for place, field in enumerate(fields):
        column = field.get_col(field.model._meta.db_table)
        found = [*connection.ops.get_db_converters(column), *column.get_db_converters(connection)]
        if found:
            out.append((place, found, column))
    return out


@dataclass(frozen=True, slots=True)
class _Text:
    """Compiled SQL; `params` has a name where a value is given at each run, else the constant itself."""

    sql: str
    params: tuple[tuple[str | None, Any], ...]
    converters: list[tuple[int, list[Converter], Any]]


class Compiled(Generic[M]):
    """A queryset compiled once, run with other values.

    Args:
        build: the queryset; called once with stand-ins, so it must not look at the values it is given.
        names: of the values, in the order in which `build` and `rows` take them; each is a UUID,
            or with `name:text` a string. None is not a value: it would be other SQL.

    The queryset selects whole rows of its model, and annotations behind them, without `select_related`.
    """

    def __init__(self, build: Callable[..., QuerySet[M]], *names: str) -> None:
        self._build = build
        self._names = [name.partition(":")[0] for name in names]
        self._texts = [name.endswith(":text") for name in names]
        self._table: Table[M] | None = None

    def sql(self, *values: Any) -> tuple[str, list[Any]]:
        """The text and its parameters, to stand inside another statement."""
        text = self._text()
        named = dict(zip(self._names, values, strict=True))
        return text.sql, [
            constant if name is None else _adapted(named[name]) for name, constant in text.params
        ]

    def rows(self, *values: Any) -> list[tuple[M, list[Any]]]:
        """Every row with the values of its annotations."""
        sql, params = self.sql(*values)
        with here().cursor() as cursor:
            cursor.execute(sql, params)
            found = cursor.fetchall()
        if not found:
            return []
        table, text = self._rows_of(), self._text()
        width = table.width
        out = []
        for row in found:
            extra = list(row[width:])
            for place, converters, expression in text.converters:
                for convert in converters:
                    extra[place - width] = convert(extra[place - width], expression, connection)
            out.append((table.read(row), extra))
        return out

    def first(self, *values: Any) -> tuple[M, list[Any]] | None:
        found = self.rows(*values)
        return found[0] if found else None

    def _rows_of(self) -> Table[M]:
        assert self._table is not None
        return self._table

    def _text(self) -> _Text:
        text: _Text = _prepared(self, self._compile)
        return text

    def _compile(self) -> _Text:
        stand_ins: list[Any] = [f"stand-in-{uuid4()}" if text else uuid4() for text in self._texts]
        queryset = self._build(*stand_ins)
        self._table = Table(queryset.model)
        compiler = queryset.query.get_compiler(connection=connection)
        sql, params = compiler.as_sql()
        names = {_adapted(value): name for value, name in zip(stand_ins, self._names, strict=True)}
        assert {names.get(p) for p in params if _hashable(p)} >= set(self._names), "a value is not in the SQL"
        width = self._table.width
        late = [
            (place, converters, expression)
            for place, (converters, expression) in compiler.get_converters(
                [expression for expression, *_ in compiler.select]
            ).items()
            if place >= width
        ]
        return _Text(sql, tuple((names.get(p) if _hashable(p) else None, p) for p in params), late)


def _adapted(value: Any) -> Any:
    return as_id(value) if isinstance(value, UUID) else value


def _hashable(value: Any) -> bool:
    return isinstance(value, (str, int, UUID))
