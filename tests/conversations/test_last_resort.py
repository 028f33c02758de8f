"""A process that cannot end by itself ends all the same."""

from __future__ import annotations

import subprocess
import sys
import time


def test_it_ends_a_process_that_hangs() -> None:
    code = "import time; from conversations.engine.last_resort import end_in_any_case as end; end(0.2); time.sleep(60)"
    began = time.monotonic()
    assert subprocess.run([sys.executable, "-c", code], timeout=50, check=False).returncode == 0
    assert time.monotonic() - began < 45


def test_it_lets_a_process_that_was_in_time_alone() -> None:
    code = "from conversations.engine.last_resort import end_in_any_case as end; timer = end(20); timer.cancel(); timer.join(); print('still here')"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "still here\n"
