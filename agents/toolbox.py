"""All tools of this installation: those of the apps' `tools` modules and of the entry points `nexus.tools`.

Found once, at first use. A tool appears in admin, in the API and for agents by itself.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.util import find_spec
from types import ModuleType

from django.apps import apps

from nexus_core.human import call_human
from nexus_core.registry import discover_tools
from nexus_core.tools import Tool, Toolset


@cache
def all() -> Toolset:
    """Every tool, those of the apps first. Two of one name raise `ValueError`."""
    return Toolset([*_of_apps(), call_human, *discover_tools()])


def get(name: str) -> Tool:
    """The tool of that name, or `ToolNotFound` with the known names."""
    return all().get(name)


def for_model() -> tuple[Tool, ...]:
    """The tools that an agent may be given."""
    return all().for_model


def unknown(names: Iterable[str]) -> list[str]:
    """Those that no agent can be given, in the order named."""
    return [name for name in names if name not in _known_to_models()]


@cache
def _known_to_models() -> frozenset[str]:
    return frozenset(tool.name for tool in for_model())


def _of_apps() -> Iterator[Tool]:
    for config in apps.get_app_configs():
        name = f"{config.name}.tools"
        if config.module is not None and find_spec(name) is not None:
            yield from _tools_in(importlib.import_module(name))


def _tools_in(module: ModuleType) -> Iterator[Tool]:
    yield from (
        value for value in vars(module).values() if isinstance(value, Tool) and _made_in(value, module)
    )


def _made_in(tool: Tool, module: ModuleType) -> bool:
    """Not merely imported there: the same tool would be found twice."""
    return getattr(tool.handler, "__module__", None) == module.__name__
