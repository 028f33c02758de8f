"""The rules of the scripted provider: from a person's words to tools, from their results to an answer.

Nothing here is intelligence, and the answers say so. A rule names a tool, the words
that ask for it, and how its arguments are read from the text; it only holds when the
request offers that tool. Any other tool can be had by its name: `use NAME key=value`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..messages import Message, ToolResultPart
from .base import ModelRequest, ToolSchema

JSON = Any

MOST_CALLS = 3
"""Tools that one message may set off."""
MOST_ROWS = 20
"""Rows of a result that the answer shows as a table."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What to stream, and the tools to call then, as `(name, arguments)`."""

    text: str = ""
    reasoning: str = ""
    calls: tuple[tuple[str, Mapping[str, JSON]], ...] = ()


@dataclass(frozen=True, slots=True)
class Rule:
    """`words` is searched in the text; `arguments` reads what the tool needs from text and match."""

    tool: str
    words: re.Pattern[str]
    arguments: Callable[[str, re.Match[str]], dict[str, JSON]]
    example: str


def _rule(
    tool: str, words: str, arguments: Callable[[str, re.Match[str]], dict[str, JSON]], example: str
) -> Rule:
    return Rule(tool, re.compile(words, re.IGNORECASE), arguments, example)


_RANGES = (
    ("today", r"\btoday\b|\bday\b"),
    ("week", r"\bweek"),
    ("month", r"\bmonth"),
    ("all", r"\ball\b|\bever\b|\btotal"),
)


def _range(text: str, _: re.Match[str]) -> dict[str, JSON]:
    for name, words in _RANGES:
        if re.search(words, text, re.IGNORECASE):
            return {"timeRange": name}
    return {"timeRange": "week"}


def _rest(key: str) -> Callable[[str, re.Match[str]], dict[str, JSON]]:
    return lambda _, match: {key: match["rest"].strip().strip("\"'“”.?!").strip()}


def _as_question(rest: str) -> str:
    words = rest.strip().rstrip(".!?")
    return f"{words[:1].upper()}{words[1:]}?"


def _news(text: str, _: re.Match[str]) -> dict[str, JSON]:
    for category, words in (("business", r"business|market|econom"), ("sports", r"sport|football|game")):
        if re.search(words, text, re.IGNORECASE):
            return {"category": category}
    return {"category": "tech"}


RULES: tuple[Rule, ...] = (
    _rule(
        "call_human",
        r"\bask\s+(?:me|us|somebody|someone|a\s+person|people|my\s+colleagues?|the\s+team)\b[,:]?\s*(?P<rest>\S.*)",
        lambda _, m: {"question": _as_question(m["rest"])},
        "Ask us which colour the new logo should have",
    ),
    _rule(
        "create_task",
        r"\b(?:create|add|make|new)\s+(?:a\s+|an\s+|the\s+)?(?:new\s+)?task\b(?:\s+to\b|\s+for\b|\s*:)?\s*(?P<rest>\S.*)"
        r"|\bremind me\b(?:\s+to\b|\s+of\b|\s+about\b)?\s*(?P<remind>\S.*)",
        lambda _, m: {"title": (m["rest"] or m["remind"]).strip().rstrip(".!?")},
        "Create a task to review the release notes",
    ),
    _rule(
        "update_profile",
        r"\b(?:call me|my name is)\s+(?P<rest>[\w'’-]+(?:\s+(?-i:[A-Z])[\w'’-]+)*)",
        _rest("name"),
        "Call me Ada",
    ),
    _rule(
        "search_messages",
        r"\b(?:search|find|look)\b(?:\s+(?:for|in|the|my|all|through|messages?|conversations?|history))*\s+(?P<rest>\S.*)",
        _rest("query"),
        "Search messages for release",
    ),
    _rule("fetch_news", r"\b(?:news|headlines?)\b", _news, "What is the news in tech?"),
    _rule("get_token_usage", r"\btokens?\b|\bcosts?\b|\bspen[dt]\b", _range, "Show token usage for today"),
    _rule(
        "analyze_session_metrics",
        r"\bmetrics?\b|\banaly[sz]e\b|\bengagement\b|\bstatistics\b|\bstats\b",
        _range,
        "Show the session metrics for the week",
    ),
    _rule(
        "get_session_activity",
        r"\bactivit(?:y|ies)\b|\bwhat happened\b|\bwho was\b",
        _range,
        "Show session activity this month",
    ),
)

_BY_NAME = re.compile(r"\b(?:use|run|call)\s+(?P<name>[A-Za-z_][\w-]*)(?P<rest>[^\n]*)", re.IGNORECASE)
_OPTION = re.compile(r"(\w+)=(\"[^\"]*\"|'[^']*'|\S+)")


def answer_for(request: ModelRequest) -> Answer:
    """The answer to a request: tool calls for a person's words, a written answer for tool results."""
    last = request.messages[-1] if request.messages else Message("user")
    if last.role == "tool":
        return Answer(
            text=_write(last), reasoning="The tools have answered; their results fill the answer below."
        )
    text = next((m.text for m in reversed(request.messages) if m.role == "user"), "")
    offered = {tool.name: tool for tool in request.tools} if request.tool_choice == "auto" else {}
    picked = _picked(text, offered)
    if not picked:
        return Answer(
            text=_help(text, [tool for tool in request.tools if request.tool_choice == "auto"]),
            reasoning="No rule of this demo fits these words, so it says what it can do.",
        )
    words = ", ".join(f"“{match}” means `{name}`" for name, _, match in picked)
    return Answer(
        reasoning=f"Rules of this demo that fit: {words}.", calls=tuple((n, a) for n, a, _ in picked)
    )


def _picked(text: str, offered: Mapping[str, ToolSchema]) -> list[tuple[str, dict[str, JSON], str]]:
    by_name = _BY_NAME.search(text)
    if by_name and by_name["name"] in offered:
        tool = offered[by_name["name"]]
        return [(tool.name, _typed_arguments(by_name["rest"], tool), by_name["name"])]
    found: list[tuple[int, str, dict[str, JSON], str]] = []
    for rule in RULES:
        match = rule.words.search(text)
        if match and rule.tool in offered:
            arguments = _fitting(rule.arguments(text, match), offered[rule.tool])
            found.append((match.start(), rule.tool, arguments, match.group(0)[:40].strip()))
            if "rest" in rule.words.groupindex:
                break  # it takes the rest of the text as its own
    return [
        (name, arguments, words)
        for _, name, arguments, words in sorted(found, key=lambda f: f[0])[:MOST_CALLS]
    ]


def _fitting(arguments: dict[str, JSON], tool: ToolSchema) -> dict[str, JSON]:
    """Arguments that the tool knows; a value it does not take gives way to its first one."""
    properties = tool.input_schema.get("properties", {})
    fitting = {key: value for key, value in arguments.items() if key in properties}
    for key, value in fitting.items():
        allowed = properties[key].get("enum")
        if allowed and value not in allowed:
            fitting[key] = allowed[0]
    return fitting


def _typed_arguments(text: str, tool: ToolSchema) -> dict[str, JSON]:
    """`key=value …` as JSON where a value reads as JSON; without any, the text for the first required parameter."""
    arguments: dict[str, JSON] = {}
    for key, raw in _OPTION.findall(text):
        value = raw.strip("\"'")
        try:
            arguments[key] = json.loads(raw)
        except ValueError:
            arguments[key] = value
    rest = _OPTION.sub("", text).strip(" .:")
    required = [name for name in tool.input_schema.get("required", []) if name not in arguments]
    if rest and required:
        arguments[required[0]] = rest
    return arguments


def _help(text: str, tools: Sequence[ToolSchema]) -> str:
    known = {tool.name for tool in tools}
    lines = ["I am a demo that follows rules; there is no AI behind me."]
    if not tools:
        lines.append("This agent has no tools, so all I can do is answer with this text.")
        return "\n\n".join(lines)
    examples = [f"- “{rule.example}” runs `{rule.tool}`" for rule in RULES if rule.tool in known]
    covered = {rule.tool for rule in RULES}
    examples += [
        f"- “use {tool.name}{_sample(tool)}” runs `{tool.name}`: {_first_sentence(tool.description)}"
        for tool in tools
        if tool.name not in covered
    ]
    lines.append("My tools are real and read your real data. Try one of these:")
    return "\n\n".join(lines) + "\n\n" + "\n".join(examples)


def _sample(tool: ToolSchema) -> str:
    properties = tool.input_schema.get("properties", {})
    words = []
    for name in tool.input_schema.get("required", []):
        allowed = properties.get(name, {}).get("enum")
        words.append(f" {name}={allowed[0] if allowed else '…'}")
    return "".join(words)


def _first_sentence(text: str) -> str:
    return text.strip().split(". ")[0].rstrip(".") + "." if text.strip() else ""


# Answers from results


def _write(message: Message) -> str:
    results = [part for part in message.parts if isinstance(part, ToolResultPart)]
    sections = []
    for result in results:
        body = _failure(result) if result.is_error else _body(_parsed(result.content))
        sections.append(f"### {_title(result.name)}\n\n{body}")
    return "\n\n".join(sections)


def _failure(result: ToolResultPart) -> str:
    value = _parsed(result.content)
    told = value.get("error", "") if isinstance(value, Mapping) else str(value)
    return f"That did not work: {told}"


def _body(value: JSON) -> str:
    match value:
        case {}:
            return _object(value)
        case []:
            return "Nothing was found."
        case [{}, *_]:
            return _table(value)
        case [*items]:
            return "\n".join(f"- {_cell(item)}" for item in items[:MOST_ROWS])
        case _:
            return _cell(value)


def _object(value: Mapping[str, JSON]) -> str:
    """Plain fields that say something as a table of two columns, then each list or object under its own name."""
    plain = {k: v for k, v in value.items() if not isinstance(v, Mapping | list)}
    blocks = []
    told = {k: v for k, v in plain.items() if v not in (None, "")} or plain
    if told:
        rows = [f"| {_title(key)} | {_cell(item)} |" for key, item in told.items()]
        blocks.append("\n".join(["| | |", "|---|---|", *rows]))
    for key, item in value.items():
        if key not in plain:
            blocks.append(f"**{_title(key)}**\n\n{_body(item)}")
    return "\n\n".join(blocks) or "Nothing was found."


def _table(rows: Sequence[JSON]) -> str:
    records = [row for row in rows if isinstance(row, Mapping)]
    every = list(dict.fromkeys(key for row in records[:MOST_ROWS] for key in row))
    # An id tells a person nothing where a row has anything else to show.
    columns = [key for key in every if not all(_is_id(row.get(key)) for row in records[:MOST_ROWS])] or every
    lines = [
        "| " + " | ".join(_title(column) for column in columns) + " |",
        "|" + "---|" * len(columns),
        *(
            "| " + " | ".join(_cell(row.get(column)) for column in columns) + " |"
            for row in records[:MOST_ROWS]
        ),
    ]
    text = "\n".join(lines)
    return text if len(records) <= MOST_ROWS else f"{text}\n\n… and {len(records) - MOST_ROWS} more."


def _cell(value: JSON) -> str:
    match value:
        case None | "":
            return "–"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.2f}".rstrip("0").rstrip(".")
        case str() if _MOMENT.fullmatch(value) and (moment := _moment(value)):
            return moment
        case str():
            text = " ".join(value.split()).replace("|", "\\|")
            return text if len(text) <= 200 else text[:199] + "…"
        case _:
            return "`" + json.dumps(value, ensure_ascii=False)[:200].replace("|", "\\|") + "`"


def _is_id(value: JSON) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _moment(value: str) -> str:
    """`2026-11-21T07:10:03.350Z` → `21 Nov 2026, 07:10`; what is no moment after all is empty."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return ""
    return f"{moment.day} {moment:%b %Y, %H:%M}"


def _title(name: str) -> str:
    """`totalSessions`, `total_sessions` → `Total sessions`."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").lower()
    return words[:1].upper() + words[1:]


def _parsed(text: str) -> JSON:
    try:
        return json.loads(text)
    except ValueError:
        return text
