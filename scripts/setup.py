"""`make install`: the Python environment, the browser packages and the page bundles.

Each step compares hashes with what was made last and is skipped when nothing changed.
"""

from __future__ import annotations

import argparse

from scripts import assets, stamps
from scripts.environment import ensure_environment
from scripts.terminal import StepFailed, fail


def set_up(level: str, *, browser: bool = True) -> assets.Node | None:
    """Brings the checkout up to `level` ("base" or "dev"); ends the program with advice when it cannot.

    With `browser` false nothing of Node is touched, and None is returned.
    """
    try:
        with stamps.one_at_a_time():
            ensure_environment(level)
            if not browser:
                return None
            node = assets.ensure_node(level)
            assets.ensure_modules(node, level)
            assets.ensure_bundles(node)
            return node
    except StepFailed as fault:
        fail(str(fault))
    except PermissionError as fault:
        fail(
            f"may not write {fault.filename}. The checkout belongs to another user; "
            "run as that user, or make a checkout of your own."
        )
    except OSError as fault:
        if fault.errno == 28:
            fail("the disk is full. Free some space and run the same command again.")
        raise


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--level", choices=["base", "dev"], default="dev")
    parser.add_argument("--no-browser", action="store_true", help="only the Python environment")
    options = parser.parse_args()
    set_up(options.level, browser=not options.no_browser)
