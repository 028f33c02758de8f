"""An end in any case: a process that was asked to stop and is not done in time just ends.

What it had in its hands then is taken over like that of one that died, which loses nothing; a
supervisor that waits for it would kill it anyway, later.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
from typing import NoReturn

SECONDS = 9.0


def end_in_any_case(seconds: float = SECONDS) -> threading.Timer:
    """Ends the process after that many seconds, unless the timer is cancelled before."""
    timer = threading.Timer(seconds, os._exit, (0,))
    timer.daemon = True
    timer.start()
    return timer


def leave(code: int = 0) -> NoReturn:
    """Ends the process after everything was stopped, without taking the interpreter apart: with what a server
    has loaded that takes seconds on a busy machine, and no timer can end it any more."""
    atexit._run_exitfuncs()  # connections, exporters, logs
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
