"""System checks of conversations: settings that would make the engine misbehave."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register


@register()
def engine_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    found: list[CheckMessage] = []
    if settings.NEXUS_COALESCE_MS < 0:
        found.append(
            Error("NEXUS_COALESCE_MS is negative; use 0 to send each chunk at once.", id="conversations.E001")
        )
    if settings.NEXUS_LEASE_SECONDS < 1:
        found.append(Error("NEXUS_LEASE_SECONDS must be at least 1.", id="conversations.E002"))
    return found
