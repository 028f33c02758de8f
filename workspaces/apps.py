from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings

from .failpoints import arm


class WorkspacesConfig(AppConfig):
    name = "workspaces"
    verbose_name = "People and workspaces"

    def ready(self) -> None:
        arm(settings.NEXUS_FAILPOINTS)
        # Models are there only now.
        from .audit import hearing

        hearing.connect()
