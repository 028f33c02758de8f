"""`make watch`: builds the page bundles again at every change of a source."""

from __future__ import annotations

import subprocess

from scripts.assets import ensure_node
from scripts.terminal import ROOT


def main() -> None:
    node = ensure_node("dev")
    command = [node.program, ROOT / "scripts" / "build_assets.mjs", "--watch"]
    try:
        subprocess.run(command, cwd=ROOT, env=node.environment(), check=False)
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
