"""What may go wrong: one row per fault. `FAULTS` is the table that `make chaos` goes through."""

from __future__ import annotations

from .table import FAULTS, Fault

__all__ = ["FAULTS", "Fault"]
