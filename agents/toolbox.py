"""All tools of this installation: those of the apps' `tools` modules and of the entry points `nexus.tools`.

Found once, at first use. A tool appears in admin, in the API and for agents by itself.
An entry point may name a `Tool`, a list of them, or a module that holds some.
"""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec

from django.apps import apps

from nexus_core.tools import Tool, Toolset

ENTRY_POINTS = "nexus.tools"

log = logging.getLogger(__name__)


@cache
def all() -> Toolset:
    """Every tool, those of the apps first. Two of one name raise `ValueError`."""
    return Toolset([*_of_apps(), *_of_entry_points()])


def get(name: str) -> Tool:
    """The tool of that name, or `ToolNotFound` with the known names."""
    return all().get(name)


def for_model() -> tuple[Tool, ...]:
    """The tools that an agent may be given."""
    return all().for_model


def unknown(names: Iterable[str]) -> list[str]:
    """Those that no agent can be given, in the order named."""
    known = {tool.name for tool in for_model()}
    return [name for name in names if name not in known]


def _of_apps() -> Iterator[Tool]:
    for config in apps.get_app_configs():
        name = f"{config.name}.tools"
        if config.module is not None and find_spec(name) is not None:
            yield from _tools_in(importlib.import_module(name))


def _of_entry_points() -> Iterator[Tool]:
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        try:
            yield from _tools_in(point.load())
        except Exception:
            log.exception("the tools of the entry point %s (%s) cannot be loaded", point.name, point.value)


def _tools_in(found: object) -> Iterator[Tool]:
    if isinstance(found, Tool):
        yield found
    elif isinstance(found, Iterable):
        yield from (item for item in found if isinstance(item, Tool))
    else:
        seen: set[str] = set()
        for value in vars(found).values():
            if isinstance(value, Tool) and value.name not in seen and _made_in(value, found):
                seen.add(value.name)
                yield value


def _made_in(tool: Tool, module: object) -> bool:
    """Not merely imported there: the same tool would be found twice."""
    return getattr(tool.handler, "__module__", None) == getattr(module, "__name__", None)
