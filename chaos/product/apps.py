from __future__ import annotations

import os
from pathlib import Path

from django.apps import AppConfig

from .hints import damage_hints
from .pulse import answer_pulse
from .queries import count_queries


class ChaosConfig(AppConfig):
    name = "chaos.product"
    label = "chaos_product"

    def ready(self) -> None:
        folder = Path(os.environ["CHAOS_FOLDER"])
        damage_hints(folder / "hints.json")
        answer_pulse(folder)
        count_queries()
