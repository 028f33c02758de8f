"""What was measured: every figure of every peer, one value per round, and what was wrong with the texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from .marks import Faults


@dataclass(slots=True)
class Results:
    """`rounds[peer][figure]`: one value per round; one alone where a figure is measured once."""

    rounds: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    faults: dict[str, Faults] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    """What could not be measured, by scenario, and why."""

    def add(self, peer: str, values: Mapping[str, float], faults: Faults) -> None:
        """One round of one peer."""
        mine = self.rounds.setdefault(peer, {})
        for name, value in values.items():
            mine.setdefault(name, []).append(value)
        self.faults[peer] = self.faults.get(peer, Faults()) + faults

    def once(self, peer: str, values: Mapping[str, float], faults: Faults | None = None) -> None:
        """What is measured a single time; the last one counts."""
        mine = self.rounds.setdefault(peer, {})
        mine.update({name: [value] for name, value in values.items()})
        self.faults[peer] = self.faults.get(peer, Faults()) + (faults or Faults())

    def get(self, peer: str, figure: str) -> Sequence[float]:
        return self.rounds.get(peer, {}).get(figure, ())

    def broken(self, peers: Sequence[str]) -> int:
        """How many pieces of these peers were lost, doubled, out of order or foreign."""
        return sum(self.faults[peer].total for peer in peers if peer in self.faults)

    def as_json(self) -> dict[str, object]:
        return {
            "rounds": self.rounds,
            "faults": {peer: asdict(faults) for peer, faults in self.faults.items()},
            "unmeasured": self.unmeasured,
        }
