"""Tools: functions that a model or a slash command may call.

    @tool(idempotent=True)
    async def get_weather(city: str, unit: Literal["C", "F"] = "C") -> dict[str, float]:
        \"\"\"Current temperature of a city.

        Args:
            city: Name of the city, in English.
        \"\"\"

makes `get_weather` a `Tool`. On a method it works too: `agent.get_weather` is the
tool bound to that agent. A handler raises `ToolError` to tell the model what went
wrong in plain words; any other exception is logged and told without its text.
"""

from __future__ import annotations

import asyncio
import difflib
import functools
import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, overload

import jsonschema
from jsonschema.validators import Draft202012Validator
from pydantic import BaseModel, ValidationError

from .approval import ApprovalRule
from .context import ExecutionContext
from .errors import NexusError, ToolError, ToolInputInvalid, ToolNotFound, ToolTimeout
from .jsonsafe import json_safe
from .providers.base import ToolSchema
from .signature import read_signature

JSON = Any
ToolKind = Literal["model", "command", "hybrid"]
"""Who may call it: a model, a person by a slash command, or both. [T1, T5]"""

DEFAULT_TIMEOUT = 5.0
"""Seconds a tool may take unless it, or its agent, says otherwise [A12, T6]."""

_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_-]{0,63}$")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tool:
    """One callable thing: what is told of it, and how it is called.

    Attributes:
        name: the identifier that models use.
        command: the slash command without the slash; empty for kind "model".
        timeout: seconds; `None`: the agent's (5 s by default).
        idempotent: calling it again does no harm, so a call of unknown outcome may be repeated.
        needs_approval: a person must say yes before a call: before each (`True`), or before those whose
            arguments fit a JSON schema, or of which a function of the arguments says so.
        asks_person: nothing is run: a call is a question to a person, whose answer is the result.
        requires_premium: only offered where the plan has premium tools.
    """

    name: str
    description: str
    input_schema: Mapping[str, JSON]
    handler: Callable[..., Any] = field(repr=False, compare=False)
    kind: ToolKind = "model"
    command: str = ""
    timeout: float | None = None
    idempotent: bool = False
    needs_approval: ApprovalRule = False
    requires_premium: bool = False
    asks_person: bool = False
    input_model: type[BaseModel] | None = field(default=None, repr=False, compare=False)
    context_parameter: str | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not _NAME.match(self.name):
            raise ValueError(f"Not a tool name: {self.name!r} (letters, digits, _ and -, at most 64)")

    def __get__(self, instance: object | None, owner: type | None = None) -> Tool:
        """Access through an instance gives the tool bound to it (bound handlers, T2)."""
        if instance is None:
            return self
        return replace(self, handler=functools.partial(self.handler, instance))

    @property
    def for_model(self) -> bool:
        return self.kind in ("model", "hybrid")

    @property
    def for_command(self) -> bool:
        return self.kind in ("command", "hybrid")

    @property
    def schema(self) -> ToolSchema:
        """What a model is told."""
        return ToolSchema(self.name, self.description, self.input_schema)

    def wire_input(self, input: Mapping[str, JSON]) -> dict[str, JSON]:
        """The input with wire names, unchecked."""
        return _wire_names(input, self.input_schema)

    def validate(self, input: Mapping[str, JSON]) -> dict[str, JSON]:
        """The input with wire names. Raises `ToolInputInvalid`, which says what to fix."""
        renamed = self.wire_input(input)
        faults = sorted(
            Draft202012Validator(self.input_schema).iter_errors(renamed), key=lambda e: list(e.path)
        )
        if faults:
            raise ToolInputInvalid(
                f"The arguments of {self.name} are not valid: " + "; ".join(_describe(f) for f in faults[:5])
            )
        return renamed

    async def call(
        self,
        input: Mapping[str, JSON],
        context: ExecutionContext,
        *,
        default_timeout: float = DEFAULT_TIMEOUT,
    ) -> JSON:
        """Validates, calls the handler, gives its result as JSON.

        `default_timeout` (seconds) holds for tools that name none of their own. A synchronous handler
        runs in a thread, by the service `run_sync` (an async callable that takes the function)
        if the context has one. Raises `ToolError` or one of its subclasses, and nothing else
        but `NexusError`s of the host and `CancelledError`.
        """
        arguments = self._arguments(self.validate(input))
        if self.context_parameter:
            arguments[self.context_parameter] = context
        seconds = self.timeout if self.timeout is not None else default_timeout
        try:
            async with asyncio.timeout(seconds) as limit:
                result = await self._invoke(arguments, context)
            return json_safe(result)
        except NexusError:
            raise
        except TimeoutError as error:
            if limit.expired():
                raise ToolTimeout(self._timeout_message(seconds), cause=error) from error
            raise self._unexpected(error) from error
        except Exception as error:
            raise self._unexpected(error) from error

    def _arguments(self, valid: Mapping[str, JSON]) -> dict[str, Any]:
        if self.input_model is None:
            return dict(valid)
        try:
            model = self.input_model.model_validate(valid)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
            raise ToolInputInvalid(
                f"The arguments of {self.name} are not valid: {faults}", cause=error
            ) from error
        return {name: getattr(model, name) for name in self.input_model.model_fields}

    async def _invoke(self, arguments: Mapping[str, Any], context: ExecutionContext) -> Any:
        if self._is_async:
            return await self.handler(**arguments)
        run_sync = context.services.get("run_sync", asyncio.to_thread)
        result = await run_sync(functools.partial(self.handler, **arguments))
        return await result if inspect.isawaitable(result) else result

    @property
    def _is_async(self) -> bool:
        handler = self.handler
        while isinstance(handler, functools.partial):
            handler = handler.func
        return inspect.iscoroutinefunction(handler)

    def _timeout_message(self, seconds: float) -> str:
        what = "was stopped" if self._is_async else "could not be stopped and may still finish"
        return f"The tool {self.name} did not answer within {seconds:g} seconds; it {what}."

    def _unexpected(self, error: Exception) -> ToolError:
        _log.error("tool %s failed: %s", self.name, type(error).__name__, exc_info=error)
        return ToolError(
            f"The tool {self.name} failed with an internal error ({type(error).__name__}).", cause=error
        )


@overload
def tool(function: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    name: str | None = None,
    kind: ToolKind = "model",
    description: str | None = None,
    command: str | None = None,
    timeout: float | None = None,
    idempotent: bool = False,
    needs_approval: ApprovalRule = False,
    requires_premium: bool = False,
    asks_person: bool = False,
) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(
    function: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    kind: ToolKind = "model",
    description: str | None = None,
    command: str | None = None,
    timeout: float | None = None,
    idempotent: bool = False,
    needs_approval: ApprovalRule = False,
    requires_premium: bool = False,
    asks_person: bool = False,
) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a function or method a `Tool`; the attributes are those of `Tool`.

    `command` defaults to the name for the kinds "command" and "hybrid". Raises `TypeError`
    where the function's hints or docstring do not say enough.
    """

    def decorate(target: Callable[..., Any]) -> Tool:
        identifier = name or target.__name__
        signature = read_signature(target, name=identifier)
        return Tool(
            name=identifier,
            description=description or signature.description,
            input_schema=signature.input_schema,
            handler=target,
            kind=kind,
            command=(command or identifier).lstrip("/") if kind != "model" else "",
            timeout=timeout,
            idempotent=idempotent,
            needs_approval=needs_approval,
            requires_premium=requires_premium,
            asks_person=asks_person,
            input_model=signature.input_model,
            context_parameter=signature.context_parameter,
        )

    return decorate if function is None else decorate(function)


class Toolset:
    """Tools by name and by command, in the order given. Two of one name raise `ValueError`."""

    def __init__(self, tools: Iterable[Tool] = ()) -> None:
        self._by_name: dict[str, Tool] = {}
        self._by_command: dict[str, Tool] = {}
        for item in tools:
            if item.name in self._by_name:
                raise ValueError(f"Two tools are named {item.name!r}")
            if item.for_command and item.command in self._by_command:
                raise ValueError(f"Two tools have the command /{item.command}")
            self._by_name[item.name] = item
            if item.for_command:
                self._by_command[item.command] = item

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def get(self, name: str) -> Tool:
        """The tool of that name, or `ToolNotFound` with the known names."""
        try:
            return self._by_name[name]
        except KeyError:
            raise ToolNotFound(_unknown("tool", name, self._by_name)) from None

    def for_command(self, name: str) -> Tool:
        """The tool behind `/name`, or `ToolNotFound` with the known commands."""
        try:
            return self._by_command[name]
        except KeyError:
            raise ToolNotFound(_unknown("command", name, self._by_command, "/")) from None

    @property
    def for_model(self) -> tuple[Tool, ...]:
        return tuple(t for t in self if t.for_model)

    @property
    def commands(self) -> tuple[Tool, ...]:
        return tuple(self._by_command.values())


def _unknown(what: str, name: str, known: Iterable[str], mark: str = "") -> str:
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1)
    hint = f" Did you mean {mark}{close[0]}?" if close else ""
    listed = ", ".join(mark + n for n in names) or "none"
    return f"Unknown {what}: {mark}{name}.{hint} Available: {listed}."


def _wire_names(input: Mapping[str, JSON], schema: Mapping[str, JSON]) -> dict[str, JSON]:
    """snake_case names that the schema has in camelCase are accepted too."""
    properties = schema.get("properties", {})
    snake = {re.sub(r"(?<!^)(?=[A-Z])", "_", wire).lower(): wire for wire in properties}
    return {key if key in properties else snake.get(key, key): value for key, value in input.items()}


def _describe(fault: jsonschema.ValidationError) -> str:
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in fault.absolute_path).lstrip(".")
    prefix = f"{where}: " if where else ""
    wanted: Any = fault.validator_value
    given: Any = fault.instance
    match fault.validator:
        case "required":
            return f"{prefix}missing {', '.join(name for name in wanted if name not in given)}"
        case "additionalProperties":
            schema: Any = fault.schema
            known = list(schema.get("properties", {}))
            extra = [name for name in given if name not in known]
            return f"{prefix}unknown {', '.join(extra)} (known: {', '.join(known) or 'none'})"
        case "enum":
            return f"{prefix}{given!r} is not one of {', '.join(map(repr, wanted))}"
        case "type":
            return f"{prefix}{given!r} is not of type {wanted}"
        case _:
            return f"{prefix}{fault.message}"
