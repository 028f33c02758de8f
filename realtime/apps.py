from __future__ import annotations

from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    name = "realtime"
    verbose_name = "Live activity"

    def ready(self) -> None:
        # Imported here, when all models exist: they register the frames of this app.
        from . import activity, doorbells, presence  # noqa: F401

        doorbells.connect()
