"""The guards proven: each taken out in a copy of the tree, and what must go red then.

A row of zeros in the table of faults proves nothing if the checks see nothing. Here one guard after
the other is removed from a copy (the product has no switch for it), and its proofs, green on the
untouched copy, must fail: tests of the suite, or a trial of chaos.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.assets import find_node

from .copies import copy_of_the_tree

SECONDS = 900


@dataclass(frozen=True, slots=True)
class Cut:
    """In `file`, `old` (which must be there exactly once) becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Guard:
    """What is taken out, and commands one of which must fail then: `pytest`, `node` or `chaos` and their arguments."""

    name: str
    cuts: tuple[Cut, ...]
    proofs: tuple[tuple[str, ...], ...]


GATE = "realtime/gate.py"
WRITER = "conversations/engine/writer.py"
JOURNAL = "conversations/engine/journal.py"
GUARDS: tuple[Guard, ...] = (
    Guard(
        "sequence check, server",
        (Cut(GATE, "        if seq == last + 1:\n", "        if seq <= last + 1:\n"),),
        (("pytest", "tests/realtime/test_gate.py"),),
    ),
    Guard(
        "gap check, server",
        (Cut(GATE, "        if seq == last + 1:\n", "        if seq > last:\n"),),
        (("pytest", "tests/realtime/test_gate.py"),),
    ),
    Guard(
        "sequence check, browser",
        (Cut("static/nexus/client/run.js", "  if (seq <= run.lastSeq) return run;\n", ""),),
        (("node", "tests/js/run.test.js", "tests/js/reducer.test.js"),),
    ),
    Guard(
        "gap check, browser",
        (
            Cut(
                "static/nexus/client/run.js",
                "  if (seq !== run.lastSeq + 1) return run.gapAt >= seq ? run : { ...run, gapAt: seq };\n",
                "",
            ),
        ),
        (("node", "tests/js/run.test.js", "tests/js/reducer.test.js"),),
    ),
    Guard(
        "epoch, log writer",
        (Cut(WRITER, " AND conversations_run.epoch = max_of.column2", ""),),
        (
            ("pytest", "tests/conversations/test_runs.py", "-k", "another_owner"),
            ("chaos", "--topology", "scaled", "--fault", "worker_stop", "--trials", "4"),
        ),
    ),
    Guard(
        # Chaos alone does not show this one: the log's writer finds the lost lease first, nearly always.
        "epoch, journal",
        (
            Cut(
                JOURNAL, "WHERE id = %s AND epoch = %s AND status", "WHERE id = %s AND epoch >= %s AND status"
            ),
        ),
        (("pytest", "tests/conversations/test_fences.py", "-k", "tools_result"),),
    ),
    Guard(
        "epoch, end",
        (
            Cut(
                "conversations/services/statements.py",
                "WHERE id = %s AND epoch = %s AND status",
                "WHERE id = %s AND epoch >= %s AND status",
            ),
        ),
        (("pytest", "tests/conversations/test_fences.py", "-k", "end_a_run"),),
    ),
    Guard(
        "tool journal",
        (
            Cut(
                JOURNAL,
                "    def _store_call(self, call: ToolRecord) -> None:\n",
                "    def _store_call(self, call: ToolRecord) -> None:\n        return\n",
            ),
        ),
        (
            (
                "chaos",
                "--topology",
                "scaled",
                "--fault",
                "worker_kill_at_point",
                "--point",
                "after_tool_effect",
                "--trials",
                "3",
            ),
        ),
    ),
    Guard(
        "write before publish",
        (
            Cut(
                WRITER,
                "            outcome = self._commit_with_patience(merged)\n",
                "            for batch in merged:\n"
                "                publish(conversation_room(batch.conversation_id), *frames_of(batch))\n"
                "            outcome = self._commit_with_patience(merged)\n",
            ),
        ),
        (("chaos", "--topology", "scaled", "--fault", "worker_kill_in_commit", "--trials", "3"),),
    ),
)


def take_out(tree: Path, guard: Guard) -> Callable[[], None]:
    """Returns what puts it back. Raises `ValueError` where the code has changed: then this table must too."""
    before: dict[Path, str] = {}
    for cut in guard.cuts:
        path = tree / cut.file
        text = path.read_text()
        before.setdefault(path, text)
        if text.count(cut.old) != 1:
            raise ValueError(f"{guard.name}: {cut.file} has {cut.old.strip()!r} {text.count(cut.old)} times")
        path.write_text(text.replace(cut.old, cut.new))

    def put_back() -> None:
        for path, text in before.items():
            path.write_text(text)

    return put_back


def holds(tree: Path, proof: Sequence[str], scratch: Path) -> bool:
    """Whether the proof is green in that tree."""
    tool, *arguments = proof
    env = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    env |= {"PYTHONPATH": str(tree / "packages" / "nexus-core" / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    env |= {"NEXUS_DATA_DIR": str(scratch / "data"), "DEBUG": "1"}
    if tool == "pytest":
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    elif tool == "node":
        node = find_node()
        if node is None:
            raise RuntimeError("there is no Node for the browser's guards")
        command, env = [str(node.program), "--test", *arguments], node.environment() | env
    else:
        folder = tempfile.mkdtemp(dir=scratch)
        command = [sys.executable, "-m", "chaos", "--seed", "1", "--folder", folder, *arguments]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, timeout=SECONDS, check=False)
    with (scratch / "proofs.log").open("ab") as log:
        log.write(
            f"\n=== {' '.join(proof)}: {done.returncode}\n".encode()
            + done.stdout[-4000:]
            + done.stderr[-2000:]
        )
    if tool == "pytest" and done.returncode not in (0, 1):
        raise RuntimeError(
            f"{' '.join(proof)} could not be run:\n{done.stdout.decode()[-2000:]}{done.stderr.decode()[-2000:]}"
        )
    return done.returncode == 0


def prove(only: str = "") -> bool:
    """Every guard: green with it, red without it. Prints a line for each."""
    good = True
    scratch = Path(tempfile.mkdtemp(prefix="nexus-guards-"))
    tree = copy_of_the_tree(scratch)
    for guard in GUARDS:
        if only and only not in guard.name:
            continue
        green = [holds(tree, proof, scratch) for proof in guard.proofs]
        put_back = take_out(tree, guard)
        try:
            red = [proof for proof in guard.proofs if not holds(tree, proof, scratch)]
        finally:
            put_back()
        proven = all(green) and bool(red)
        good &= proven
        said = (
            f"red without it: {'; '.join(' '.join(proof) for proof in red)}"
            if red
            else "STAYS GREEN without it"
        )
        if not all(green):
            said = "its proofs are RED with it"
        print(f"  {guard.name:<26} {'proven' if proven else 'NOT PROVEN':<12} {said}", flush=True)
    if good:
        shutil.rmtree(scratch, ignore_errors=True)
    else:
        print(f"  what the proofs said: {scratch / 'proofs.log'}")
    return good


if __name__ == "__main__":
    sys.exit(0 if prove(sys.argv[1] if len(sys.argv) > 1 else "") else 1)
