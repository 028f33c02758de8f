"""`python -m chaos.fill`: migrate, seed, people with tokens, an agent on each wire. In a process of its own.

The last line of output is JSON: `[{"name", "token"}, …]`.
"""

from __future__ import annotations

import json

import django

django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402

from agents.models import Agent, ProviderEndpoint  # noqa: E402
from workspaces.models import Role, User  # noqa: E402
from workspaces.services import membership_set, workspace_create  # noqa: E402
from workspaces.tokens import token_create  # noqa: E402

PEOPLE = 20
TOOLS = ["chaos_append", "chaos_put"]


def main() -> None:
    call_command("migrate", verbosity=0, interactive=False)
    call_command("seed", verbosity=0)
    workspace = workspace_create(name="Chaos", slug="chaos")
    ProviderEndpoint.objects.create(
        name="chaos",
        label="Chaos",
        wire="openai-chat",
        base_url_var="CHAOS_BASE_URL",
        key_vars=[],
        free=True,
    )
    for slug, provider, model in (("openai", "chaos", "chaos"), ("anthropic", "anthropic", "claude-chaos")):
        Agent.objects.create(
            workspace=workspace,
            slug=slug,
            name=slug.title(),
            provider=provider,
            model=model,
            max_tokens=4096,
            tools=TOOLS,
            reasoning="low",
            tool_call_timeout=30_000,
            max_consecutive_tool_calls=8,
        )
    people = []
    with transaction.atomic():
        for n in range(PEOPLE):
            user = User(username=f"chaos{n}", name=f"Person {n}")
            user.set_unusable_password()
            user.save()
            membership_set(workspace=workspace, user=user, role=Role.MEMBER)
            made = token_create(user=user, workspace=workspace, name="chaos", scopes=[])
            people.append({"name": user.username, "token": made.text})
    print(json.dumps(people))


if __name__ == "__main__":
    main()
