"""Django's SQLite backend, where the writing transactions of a process take turns.

SQLite has one writer at a time, and who finds it busy sleeps, longer each time, and
tries again: two threads of one process wait tens of milliseconds for a transaction
of one. A lock hands over at once. Between processes SQLite's own waiting remains.

Besides, a statement's text is rewritten for SQLite once and not at every execution, and BEGIN does not pass
what stands around a statement.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

TURN_SECONDS = 20.0
"""As long as SQLite itself would wait (`timeout` in the settings)."""

_turn = threading.Lock()

LONG = 4096
"""Characters from which a text is not kept: rows written many at once."""


@functools.lru_cache(maxsize=512)
def _with_marks(query: str) -> str:
    return str(base.FORMAT_QMARK_REGEX.sub("?", query)).replace("%%", "%")


class Cursor(base.SQLiteCursorWrapper):
    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        if param_names is None and len(query) < LONG:
            return _with_marks(query)
        return str(super().convert_query(query, param_names=param_names))


class DatabaseWrapper(base.DatabaseWrapper):
    """Holds the turn from BEGIN IMMEDIATE to COMMIT or ROLLBACK."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._has_turn = False

    @property
    def queries_logged(self) -> bool:
        """Not with DEBUG alone: keeping every statement costs a third of a short request."""
        return bool(self.force_debug_cursor)

    def create_cursor(self, name: str | None = None) -> Cursor:
        return self.connection.cursor(factory=Cursor)  # type: ignore[no-any-return]

    def _start_transaction_under_autocommit(self) -> None:
        if not self._has_turn:
            if not _turn.acquire(timeout=TURN_SECONDS):
                raise OperationalError("database is locked by another thread of this process")
            self._has_turn = True
        try:
            with self.wrap_database_errors:
                self.connection.execute("BEGIN IMMEDIATE")
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
