"""From a wire object to a frozen dataclass, by the dataclass's own types.

camelCase becomes snake_case, ISO dates become datetimes, money becomes Decimal, lists become
tuples. Fields that a newer server adds are kept in `raw`; fields that an older one lacks take
their default. A required field that is missing is a `ProtocolMismatch`.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from .errors import ProtocolMismatch

JSON = Any
Read = Callable[[JSON], Any]
W = TypeVar("W", bound="WireObject")


@dataclass(frozen=True, kw_only=True)
class WireObject:
    """Base of what the server tells. `raw` is the object as it came."""

    raw: Mapping[str, JSON] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def from_wire(cls: type[W], wire: JSON) -> W:
        if not isinstance(wire, Mapping):
            raise ProtocolMismatch(f"A {cls.__name__} is an object on the wire, not {type(wire).__name__}.")
        values: dict[str, Any] = {"raw": wire}
        for name, key, read, required in _plan(cls):  # type: ignore[arg-type]  # a class is hashable
            if key in wire:
                try:
                    values[name] = read(wire[key])
                except (TypeError, ValueError, ArithmeticError) as fault:
                    raise ProtocolMismatch(
                        f"{cls.__name__}.{key} cannot be read: {fault}", cause=fault
                    ) from fault
            elif required:
                raise ProtocolMismatch(f"A {cls.__name__} without {key}.")
        return cls(**values)


def camel(name: str) -> str:
    """`next_cursor` → `nextCursor`."""
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)


@cache
def _plan(cls: type[WireObject]) -> tuple[tuple[str, str, Read, bool], ...]:
    hints = get_type_hints(cls)
    return tuple(
        (
            f.name,
            f.metadata.get("wire", camel(f.name)),
            _reader(hints[f.name]),
            f.default is MISSING and f.default_factory is MISSING,
        )
        for f in fields(cls)
        if f.name != "raw"
    )


def _reader(hint: Any) -> Read:
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        inner = [one for one in get_args(hint) if one is not type(None)]
        if len(inner) == 1:
            read = _reader(inner[0])
            return lambda value: None if value is None else read(value)
        return _as_is
    if origin is tuple:
        item = _reader(get_args(hint)[0])
        return lambda value: tuple(item(one) for one in value or ())
    if isinstance(hint, type) and is_dataclass(hint) and issubclass(hint, WireObject):
        return hint.from_wire
    if hint is datetime:
        return lambda value: datetime.fromisoformat(value)
    if hint is Decimal:
        return _money
    return _as_is


def _as_is(value: JSON) -> Any:
    return value


def _money(value: JSON) -> Decimal:
    if isinstance(value, float):
        raise ValueError("money is a decimal string, never a float")
    return Decimal(value)
