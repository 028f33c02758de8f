"""What the fields of an agent may be: one set of rules for API, admin and seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents import toolbox
from agents.errors import AgentInvalid
from agents.models import (
    LONGEST_EXPIRY,
    LONGEST_TOOL_MS,
    MOST_APPROVERS,
    MOST_PASSAGES,
    MOST_TOKENS,
    MOST_TOOL_STEPS,
    SHORTEST_EXPIRY,
    ApprovalRole,
    Reasoning,
)
from agents.providers import all_specs
from nexus_core.approval import check_rule

RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 2),
    "max_tokens": (1, MOST_TOKENS),
    "tool_call_timeout": (100, LONGEST_TOOL_MS),
    "max_consecutive_tool_calls": (1, MOST_TOOL_STEPS),
    "rag_top_k": (1, MOST_PASSAGES),
    "approval_quorum": (1, MOST_APPROVERS),
    "approval_expiry": (SHORTEST_EXPIRY, LONGEST_EXPIRY),
}
LONGEST: dict[str, int] = {
    "name": 100,
    "description": 500,
    "icon": 16,
    "provider": 64,
    "model": 160,
    "system_prompt": 100_000,
    "rag_model": 160,
}
MOST_STARTERS = 8
LONGEST_STARTER = 200
MOST_FALLBACKS = 5


def check_agent(fields: Mapping[str, Any]) -> None:
    """Raises `AgentInvalid` naming every field that is wrong. Fields that are absent are not looked at."""
    wrong: dict[str, str] = {}
    for name in ("name", "model"):
        if name in fields and not str(fields[name] or "").strip():
            wrong[name] = "must not be empty"
    for name, longest in LONGEST.items():
        if len(str(fields.get(name) or "")) > longest:
            wrong[name] = f"at most {longest} characters"
    for name, (least, most) in RANGES.items():
        value = fields.get(name)
        if value is not None and not least <= value <= most:
            wrong[name] = f"must be between {least} and {most}"
    if fields.get("reasoning", Reasoning.OFF) not in Reasoning.values:
        wrong["reasoning"] = f"must be one of {', '.join(Reasoning.values)}"
    if fields.get("approval_role", ApprovalRole.MEMBER) not in ApprovalRole.values:
        wrong["approval_role"] = f"must be one of {', '.join(ApprovalRole.values)}"
    _check_rules(fields, wrong)
    _check_providers(fields, wrong)
    _check_tools(fields, wrong)
    _check_starters(fields, wrong)
    if wrong:
        raise AgentInvalid(wrong)


def _check_providers(fields: Mapping[str, Any], wrong: dict[str, str]) -> None:
    if "provider" not in fields and not fields.get("fallback"):
        return
    known = all_specs()
    if "provider" in fields and fields["provider"] not in known:
        wrong["provider"] = f"unknown provider {fields['provider']!r}; known: {', '.join(sorted(known))}"
    fallback = fields.get("fallback") or []
    if not isinstance(fallback, list) or len(fallback) > MOST_FALLBACKS:
        wrong["fallback"] = f"a list of at most {MOST_FALLBACKS} of provider and model"
        return
    for one in fallback:
        if not isinstance(one, Mapping) or set(one) != {"provider", "model"} or not str(one["model"]).strip():
            wrong["fallback"] = "each needs exactly a provider and a model"
        elif one["provider"] not in known:
            wrong["fallback"] = f"unknown provider {one['provider']!r}; known: {', '.join(sorted(known))}"


def _check_tools(fields: Mapping[str, Any], wrong: dict[str, str]) -> None:
    for name in ("tools", "tool_approval"):
        names = fields.get(name)
        if names is None:
            continue
        if not isinstance(names, list) or not all(isinstance(one, str) for one in names):
            wrong[name] = "must be a list of tool names"
        elif unknown := toolbox.unknown(names):
            known = ", ".join(tool.name for tool in toolbox.for_model())
            wrong[name] = f"unknown: {', '.join(unknown)}; there are: {known or 'none'}"
        elif len(set(names)) != len(names):
            wrong[name] = "names each tool once"


def _check_rules(fields: Mapping[str, Any], wrong: dict[str, str]) -> None:
    rules = fields.get("approval_rules")
    if rules is None:
        return
    if not isinstance(rules, list) or not all(isinstance(one, Mapping) for one in rules):
        wrong["approval_rules"] = "must be a list of objects"
        return
    names = [str(one.get("tool", "")) for one in rules]
    if unknown := toolbox.unknown(names):
        wrong["approval_rules"] = f"unknown tool: {', '.join(unknown)}"
    elif len(set(names)) != len(names):
        wrong["approval_rules"] = "has one rule for each tool"
    for rule in rules:
        if extra := set(rule) - {"tool", "when", "role", "quorum", "expiry"}:
            wrong["approval_rules"] = f"unknown: {', '.join(sorted(extra))}"
        when = rule.get("when", {})
        if not isinstance(when, Mapping):
            wrong["approval_rules"] = "when must be a JSON schema of the arguments"
        elif fault := check_rule(when):
            wrong["approval_rules"] = f"when is no JSON schema: {fault}"
        if rule.get("role", ApprovalRole.MEMBER) not in ApprovalRole.values:
            wrong["approval_rules"] = f"role must be one of {', '.join(ApprovalRole.values)}"
        for name, field in (("quorum", "approval_quorum"), ("expiry", "approval_expiry")):
            least, most = RANGES[field]
            value = rule.get(name, least)
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
                wrong["approval_rules"] = f"{name} must be a whole number between {least:g} and {most:g}"


def _check_starters(fields: Mapping[str, Any], wrong: dict[str, str]) -> None:
    starters = fields.get("starters")
    if starters is None:
        return
    good = isinstance(starters, list) and all(isinstance(one, str) and one.strip() for one in starters)
    if not good or len(starters) > MOST_STARTERS or any(len(one) > LONGEST_STARTER for one in starters):
        wrong["starters"] = f"at most {MOST_STARTERS} prompts of at most {LONGEST_STARTER} characters"
