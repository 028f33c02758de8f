"""`python -m benchmarks.fill_database N`: migrate, seed, N members with sessions, one agent.

The agent's provider is an OpenAI-compatible endpoint whose address stands in
`BENCH_BASE_URL`, as a server on the own machine would be added in the admin. The last
line of output is JSON: `{"cookies": […], "agent": slug, "token": the first one's}`.
"""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nexus_site.settings")
django.setup()

import orjson  # noqa: E402
from django.conf import settings  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import transaction  # noqa: E402
from django.test import Client  # noqa: E402

from agents.models import Agent, ProviderEndpoint  # noqa: E402
from workspaces.models import Role, User  # noqa: E402
from workspaces.services import membership_set, workspace_create  # noqa: E402
from workspaces.tokens import token_create  # noqa: E402

AGENT = "bench"


def main() -> None:
    people = int(sys.argv[1])
    call_command("migrate", verbosity=0, interactive=False)
    call_command("seed", verbosity=0)
    workspace = workspace_create(name="Benchmark", slug="benchmark")
    ProviderEndpoint.objects.create(
        name="bench",
        label="Benchmark",
        wire="openai-chat",
        base_url_var="BENCH_BASE_URL",
        key_vars=[],
        free=True,
    )
    Agent.objects.create(
        workspace=workspace, slug=AGENT, name="Benchmark", provider="bench", model="bench", max_tokens=4096
    )
    cookies = []
    with transaction.atomic():
        for n in range(people):
            user = User(username=f"bench{n}", name=f"Person {n}")
            user.set_unusable_password()
            user.save()
            membership_set(workspace=workspace, user=user, role=Role.MEMBER)
            client = Client()
            client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
            cookies.append(
                f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"
            )
    first = User.objects.get(username="bench0")
    token = token_create(user=first, workspace=workspace, name="bench").text
    print(orjson.dumps({"cookies": cookies, "agent": AGENT, "token": token}).decode())


if __name__ == "__main__":
    main()
