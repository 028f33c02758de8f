from __future__ import annotations

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    verbose_name = "Usage and prices"

    def ready(self) -> None:
        from billing import shipped

        shipped.register()
