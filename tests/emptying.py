"""Empties the tables behind a test with transactions of its own, as Django's `flush` does, in a fraction of the time.

`flush` empties every table (for which PostgreSQL makes hundreds of files anew), then writes all content types and
permissions again. Here those two stay, and only tables with rows are emptied.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import cache
from importlib import import_module

from asgiref.sync import SyncToAsync
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from workspaces.database import close_threads

STAY = {"django_content_type", "auth_permission"}
AUDIT, SWITCH = "workspaces_auditevent", "workspaces_auditpruning"
LEDGER, LEDGER_GUARD = "billing_ledgerentry", "ledger_no_delete"
DEADLOCK = "40P01"


def no_vacuum() -> None:
    """PostgreSQL leaves these tables alone: a vacuum under way would hold `empty_tables` up for a second."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for table in _tables():
                cursor.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")


def empty_tables() -> None:
    """Ends the database threads first, then waits for transactions under way elsewhere: none of their rows comes
    afterwards.

    What a thread still does (a look at rights that nobody waits for) must not reach into the moment between two
    tests either. There pytest-django lets nobody at a connection; one whose transaction ended just then would be
    neither in a transaction nor out of one, and fail the next test.
    """
    close_threads()
    SyncToAsync.single_thread_executor.submit(lambda: None).result()
    for again in (True, True, False):
        try:
            _empty_tables()
            break
        except OperationalError as fault:  # such a transaction may want what is locked here already
            if not again or getattr(fault.__cause__, "sqlstate", "") != DEADLOCK:
                raise


def _empty_tables() -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        if connection.vendor == "postgresql":  # SQLite has one writer at a time anyway
            cursor.execute(f"LOCK TABLE {', '.join(_tables())} IN SHARE ROW EXCLUSIVE MODE")
        filled = _filled(cursor)
        if AUDIT in filled:  # its guard has a switch, a row, which goes last
            cursor.execute(f"INSERT INTO {SWITCH} (before) VALUES ('9999-12-31 00:00:00')")
            filled.append(SWITCH)
        with _ledger_open(cursor) if LEDGER in filled else nullcontext():
            for table in filled:
                cursor.execute(f"DELETE FROM {table}")


@cache
def _tables() -> list[str]:
    names = connection.introspection.django_table_names(only_existing=True, include_views=False)
    return sorted(set(names) - STAY)


def _filled(cursor: CursorWrapper) -> list[str]:
    cursor.execute(" UNION ALL ".join(f"SELECT '{t}' WHERE EXISTS (SELECT 1 FROM {t})" for t in _tables()))
    return [name for (name,) in cursor.fetchall()]


@contextmanager
def _ledger_open(cursor: CursorWrapper) -> Iterator[None]:
    """The ledger's guard has no switch: it is taken off, and put on again."""
    if connection.vendor == "postgresql":
        cursor.execute(f"ALTER TABLE {LEDGER} DISABLE TRIGGER {LEDGER_GUARD}")
        yield
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")  # a table with checks outstanding cannot be altered
        cursor.execute(f"ALTER TABLE {LEDGER} ENABLE TRIGGER {LEDGER_GUARD}")
    else:
        cursor.execute(f"DROP TRIGGER {LEDGER_GUARD}")
        yield
        for statement in import_module("billing.migrations.0008_ledger_guards").sqlite():
            if LEDGER_GUARD in statement:
                cursor.execute(statement)
