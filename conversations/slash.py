"""What the commands /help, /clear, /settings and /model answer: `{"markdown": …, …}`."""

from __future__ import annotations

from typing import Any

from agents import toolbox
from agents.models import Agent
from agents.providers import all_specs
from nexus_core.commands import usage
from workspaces.access import Actor

from .access import access_conversation
from .markdown_text import escaped
from .services.conversations import conversation_update
from .services.input import BadInput


def command_list() -> list[dict[str, Any]]:
    """Every command `{name, description, usage, kind}`, by name: for the menu and for /help."""
    return [
        {
            "name": found.command,
            "description": found.description.split("\n\n")[0],
            "usage": usage(found),
            "kind": found.kind,
        }
        for found in sorted(toolbox.all().commands, key=lambda found: found.command)
    ]


def help_text() -> dict[str, Any]:
    commands = command_list()
    rows = "\n".join(f"- `{one['usage']}`: {one['description']}" for one in commands)
    return {"markdown": f"**Commands**\n\n{rows}", "commands": commands}


def clear_text() -> dict[str, Any]:
    return {
        "markdown": "Cleared. Earlier messages are no longer sent to the model. They stay here for you to read.",
        "cleared": True,
    }


def settings_text(actor: Actor, conversation_id: str) -> dict[str, Any]:
    conversation = access_conversation(actor, conversation_id)
    user = actor.user
    values = {
        "Name": user.display_name,
        "Time zone": user.timezone or "UTC",
        "Theme": user.theme,
        "Keyboard shortcuts": "on" if user.shortcuts_enabled else "off",
        "Workspace": f"{actor.workspace.name} ({actor.role})",
        "Model of this conversation": conversation.model or "the agent's own",
    }
    rows = "\n".join(f"- {name}: {escaped(str(value))}" for name, value in values.items())
    return {"markdown": f"{rows}\n\n[Open the settings](/settings/)", "settings": values}


def model_text(actor: Actor, conversation_id: str, name: str) -> dict[str, Any]:
    """Raises BadInput (no such provider, not `provider/model`), Forbidden."""
    conversation = access_conversation(actor, conversation_id)
    agent = Agent.objects.filter(
        workspace_id=actor.workspace_id, slug=conversation.agent_slug, deleted_at=None
    ).first()
    own = f"{agent.provider}/{agent.model}" if agent is not None else ""
    wanted = name.strip()
    if not wanted:
        said = f"`{conversation.model}`" if conversation.model else f"`{own}`, the agent's own"
        text = f"This conversation uses {said}. Set another with `/model provider/model`, go back with `/model default`."
        return {"markdown": text, "model": conversation.model or own}
    chosen = "" if wanted.lower() == "default" else wanted
    if chosen:
        _check_provider(chosen)
    conversation_update(actor=actor, conversation_id=conversation.pk, model=chosen)
    said = f"`{chosen}`" if chosen else f"the agent's own model, `{own}`,"
    return {
        "markdown": f"From the next message on this conversation uses {said} for its answers.",
        "model": chosen or own,
    }


def _check_provider(chosen: str) -> None:
    provider = chosen.partition("/")[0]
    known = all_specs()
    if provider not in known:
        raise BadInput(f"There is no provider {provider!r}. Known are: {', '.join(sorted(known))}.")
