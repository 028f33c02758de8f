"""Django's SQLite backend, with one addition: the writing transactions of a process take turns.

SQLite has one writer at a time, and who finds it busy sleeps, longer each time, and
tries again: two threads of one process wait tens of milliseconds for a transaction
of one. A lock hands over at once. Between processes SQLite's own waiting remains.
"""

from __future__ import annotations

import threading
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

TURN_SECONDS = 20.0
"""As long as SQLite itself would wait (`timeout` in the settings)."""

_turn = threading.Lock()


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the turn from BEGIN IMMEDIATE to COMMIT or ROLLBACK."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_turn = False

    @property
    def queries_logged(self) -> bool:
        """Not with DEBUG alone: keeping every statement costs a third of a short request."""
        return bool(self.force_debug_cursor)

    def _start_transaction_under_autocommit(self) -> None:
        if not self._has_turn:
            if not _turn.acquire(timeout=TURN_SECONDS):
                raise OperationalError("database is locked by another thread of this process")
            self._has_turn = True
        try:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
        except BaseException:
            self._give_turn()
            raise

    def _commit(self) -> None:
        try:
            super()._commit()  # type: ignore[misc]
        finally:
            if not self._in_transaction():
                self._give_turn()

    def _rollback(self) -> None:
        try:
            super()._rollback()  # type: ignore[misc]
        finally:
            self._give_turn()

    def _close(self) -> None:
        try:
            super()._close()  # type: ignore[misc]
        finally:
            self._give_turn()

    def _in_transaction(self) -> bool:
        return self.connection is not None and bool(self.connection.in_transaction)

    def _give_turn(self) -> None:
        if self._has_turn:
            self._has_turn = False
            _turn.release()
