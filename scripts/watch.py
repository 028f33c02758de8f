"""`make watch`: builds the page bundles again at every change of a source."""

from __future__ import annotations

import contextlib
import subprocess

from scripts.assets import ensure_node
from scripts.terminal import ROOT


def main() -> None:
    node = ensure_node("dev")
    command = [str(node.program), str(ROOT / "scripts" / "build_assets.mjs"), "--watch"]
    with contextlib.suppress(KeyboardInterrupt):
        subprocess.run(command, cwd=ROOT, env=node.environment(), check=False)


if __name__ == "__main__":
    main()
