"""The table: fault, topology, trials, violations, recovery time p50 and p95."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from .trial import Result


def percentile(values: Sequence[float], share: float) -> float:
    """Of the sorted values, the one below which that share lies."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def table(results: Sequence[Result]) -> str:
    groups: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in results:
        groups[result.fault, result.topology].append(result)
    lines = [
        "",
        f"{'fault':<24}{'topology':<11}{'trials':>7}{'struck':>8}{'violations':>12}{'recovery p50':>14}{'p95':>9}",
    ]
    for (fault, topology), group in groups.items():
        waits = [result.recovery for result in group if result.recovery is not None]
        p50 = f"{percentile(waits, 0.5):.1f} s" if waits else "-"
        p95 = f"{percentile(waits, 0.95):.1f} s" if waits else "-"
        struck = sum(result.struck > 0 for result in group)
        bad = sum(bool(result.violations) for result in group)
        lines.append(f"{fault:<24}{topology:<11}{len(group):>7}{struck:>8}{bad:>12}{p50:>14}{p95:>9}")
    failed = [result for result in results if result.violations]
    if failed:
        lines += ["", "trials with violations (run one again: --fault … --topology … --seed … --trials 1):"]
        lines += [
            f"  {result.fault} {result.topology} seed {result.seed}: {result.violations[0][:160]}"
            for result in failed[:40]
        ]
    return "\n".join(lines)
