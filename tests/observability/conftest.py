"""A running engine and agents that play a script, as the conversations' tests have them; and the log as written."""

from __future__ import annotations

import io
import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest

from nexus_core.messages import ToolCallPart
from nexus_core.providers.base import Stop
from nexus_core.usage import Usage
from nexus_site.logging import logging_config
from tests.conversations.conftest import engine, plays

__all__ = ["engine", "plays"]


def asks(name: str, **given: Any) -> list[Stop]:
    """A turn in which the model calls that tool."""
    return [Stop("tool_calls", (ToolCallPart("call-1", name, given),), Usage(input=10, output=2))]


class Written:
    """The lines that production would have written since the test began."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def of(self, **ids: object) -> list[dict[str, Any]]:
        return [line for line in self.lines if all(line.get(k) == str(v) for k, v in ids.items())]


@pytest.fixture
def written() -> Iterator[Written]:
    """JSON lines at DEBUG, the level that says most."""
    config = logging_config("DEBUG", json=True)
    stream = io.StringIO()
    config["handlers"]["console"]["stream"] = stream
    root = logging.getLogger()
    before = list(root.handlers), root.level
    logging.config.dictConfig(config)
    try:
        yield Written(stream)
    finally:
        root.handlers[:], root.level = before
        logging.config.dictConfig(logging_config("INFO", json=True))
        root.handlers[:] = before[0]
