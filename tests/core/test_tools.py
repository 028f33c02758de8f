"""`@tool`: what a model is told of a function, and what a call of it may do."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import threading
import uuid
from decimal import Decimal
from typing import Literal

import pytest
from pydantic import BaseModel
from typing_extensions import TypedDict

from nexus_core import ExecutionContext, Tool, ToolError, Toolset, tool
from nexus_core.errors import ToolInputInvalid, ToolNotFound, ToolTimeout
from nexus_core.signature import schema_of

CONTEXT = ExecutionContext()


class Color(enum.Enum):
    RED = "red"
    BLUE = "blue"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Options(TypedDict, total=False):
    deep: bool


class Person(BaseModel):
    name: str
    born: dt.date | None = None


class Tree(BaseModel):
    value: int
    children: list[Tree] = []


def test_it_reads_schema_and_texts_from_hints_and_docstring():
    @tool
    async def analyze_session_metrics(
        time_range: Literal["today", "week", "month", "all"],
        limit: int = 10,
        context: ExecutionContext | None = None,
    ) -> dict[str, int]:
        """Session metrics for
        a time range.

        Counts sessions and messages.

        Args:
            time_range: Which time to look at;
                the week begins on Monday.
            limit: At most so many.

        Returns:
            Numbers.
        """
        return {}

    assert analyze_session_metrics.name == "analyze_session_metrics"
    assert (
        analyze_session_metrics.description
        == "Session metrics for a time range.\n\nCounts sessions and messages."
    )
    assert analyze_session_metrics.input_schema == {
        "type": "object",
        "properties": {
            "timeRange": {
                "type": "string",
                "enum": ["today", "week", "month", "all"],
                "description": "Which time to look at; the week begins on Monday.",
            },
            "limit": {"type": "integer", "default": 10, "description": "At most so many."},
        },
        "required": ["timeRange"],
        "additionalProperties": False,
    }
    assert analyze_session_metrics.kind == "model"
    assert not analyze_session_metrics.idempotent
    assert not analyze_session_metrics.needs_approval
    assert not analyze_session_metrics.requires_premium


async def test_it_gives_handlers_real_values():
    @tool
    async def take(
        color: Color,
        point: Point,
        person: Person,
        options: Options,
        tags: list[str],
        day: dt.date | None = None,
    ) -> list[str]:
        """Takes all kinds."""
        return [type(v).__name__ for v in (color, point, person, options, tags, day)]

    schema = take.input_schema
    assert schema["properties"]["color"] == {"enum": ["red", "blue"], "type": "string"}
    assert schema["properties"]["point"]["properties"]["x"] == {"type": "integer"}
    assert "$ref" not in str(schema)
    got = await take.call(
        {
            "color": "red",
            "point": {"x": 1},
            "person": {"name": "Ada"},
            "options": {"deep": True},
            "tags": ["a"],
            "day": "2026-11-21",
        },
        CONTEXT,
    )
    assert got == ["Color", "Point", "Person", "dict", "list", "date"]


def test_it_keeps_recursive_references():
    schema = schema_of(Tree)
    assert schema["$defs"]["Tree"]
    assert schema["properties"]["children"]["items"]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "missing query"),
        ({"query": 3}, "query: 3 is not of type string"),
        ({"query": "x", "limit": 99}, "limit: 99 is greater than"),
        ({"query": "x", "where": "there"}, "unknown where (known: query, limit)"),
    ],
)
async def test_it_says_what_to_fix(given, told):
    from typing import Annotated

    from pydantic import Field

    def search(query: str, limit: Annotated[int, Field(le=50)] = 5) -> str:
        """Searches."""
        return query

    search.__annotations__ = {"query": str, "limit": Annotated[int, Field(le=50)], "return": str}
    with pytest.raises(ToolInputInvalid) as error:
        await tool(search).call(given, CONTEXT)
    assert told in error.value.message


async def test_it_takes_snake_case_from_models_that_write_it():
    @tool
    async def echo(time_range: str) -> str:
        """Echo."""
        return time_range

    assert await echo.call({"time_range": "week"}, CONTEXT) == "week"
    assert await echo.call({"timeRange": "week"}, CONTEXT) == "week"


async def test_it_makes_results_json_that_every_store_takes():
    @tool
    async def odd() -> object:
        """Odd values."""
        return {
            "day": dt.date(2026, 11, 21),
            "id": uuid.UUID(int=1),
            "money": Decimal("0.10"),
            "nan": float("nan"),
            "text": "a\x00b\ud800",
            1: Color.RED,
            "set": {1},
            "point": Point(1),
            "person": Person(name="Ada"),
        }

    assert await odd.call({}, CONTEXT) == {
        "day": "2026-11-21",
        "id": "00000000-0000-0000-0000-000000000001",
        "money": "0.10",
        "nan": None,
        "text": "a\ufffdb\ufffd",
        "1": "red",
        "set": [1],
        "point": {"x": 1, "y": 0},
        "person": {"name": "Ada", "born": None},
    }


async def test_it_binds_methods_to_their_object():
    class Shop:
        def __init__(self, owner: str) -> None:
            self.owner = owner

        @tool
        async def whose(self) -> str:
            """Whose shop it is."""
            return self.owner

    assert isinstance(Shop.whose, Tool)
    assert await Shop("Ada").whose.call({}, CONTEXT) == "Ada"
    assert await Shop("Bob").whose.call({}, CONTEXT) == "Bob"


async def test_it_runs_synchronous_handlers_in_a_thread_or_where_the_host_says():
    @tool
    def where() -> bool:
        """Whether this is the main thread."""
        return threading.current_thread() is threading.main_thread()

    assert await where.call({}, CONTEXT) is False

    async def here(function):
        return function()

    assert await where.call({}, ExecutionContext(services={"run_sync": here})) is True


async def test_it_gives_the_context_to_those_who_ask_and_names_a_missing_service():
    @tool
    async def who(context: ExecutionContext) -> str:
        """Who asks."""
        return context.user_id + context.require("actor")

    assert "context" not in who.input_schema["properties"]
    assert await who.call({}, ExecutionContext(user_id="u", services={"actor": "a"})) == "ua"
    with pytest.raises(ToolError) as error:
        await who.call({}, CONTEXT)
    assert "needs the service 'actor'" in str(error.value.cause)


async def test_it_lets_a_tools_own_timeout_win_over_the_agents():
    @tool(timeout=0.01)
    async def own() -> None:
        """Has its own."""
        import asyncio

        await asyncio.sleep(60)

    with pytest.raises(ToolTimeout, match=r"0\.01 seconds"):
        await own.call({}, CONTEXT, default_timeout=50)


async def test_it_passes_a_tools_own_timeout_error_on_as_a_failure():
    @tool
    async def inner() -> None:
        """Times out by itself."""
        raise TimeoutError("inner")

    with pytest.raises(ToolError) as error:
        await inner.call({}, CONTEXT)
    assert not isinstance(error.value, ToolTimeout)


def test_it_refuses_functions_that_say_too_little():
    def bare(x: int) -> int:
        return x

    def untyped(x):
        """Doc."""

    def lies(x: int) -> int:
        """Doc.

        Args:
            y: There is no y.
        """
        return x

    def star(*x: int) -> None:
        """Doc."""

    for function, told in (
        (bare, "docstring"),
        (untyped, "type hint"),
        (lies, "unknown parameters"),
        (star, "plain names"),
    ):
        with pytest.raises(TypeError, match=told):
            tool(function)
    with pytest.raises(ValueError, match="Not a tool name"):
        tool(name="no good")(lambda: None) if False else Tool("no good", "d", {}, print)


def test_it_keeps_tools_by_name_and_command():
    @tool(kind="hybrid", command="/search")
    async def search_messages(query: str) -> str:
        """Searches."""
        return query

    @tool(kind="command", name="help")
    async def help_() -> str:
        """Helps."""
        return ""

    tools = Toolset([search_messages, help_])
    assert tools.get("search_messages") is search_messages
    assert tools.for_command("search") is search_messages
    assert [t.name for t in tools.for_model] == ["search_messages"]
    assert [t.command for t in tools.commands] == ["search", "help"]
    with pytest.raises(ToolNotFound, match=r"Unknown command: /serch\. Did you mean /search\?"):
        tools.for_command("serch")
    with pytest.raises(ValueError, match="Two tools"):
        Toolset([help_, help_])


def test_it_is_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Tool("x", "d", {}, print).name = "y"  # type: ignore[misc]
