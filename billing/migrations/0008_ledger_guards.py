"""The database itself refuses to change or delete a line of the ledger.

On SQLite a later migration that rebuilds the table drops its triggers: run `guard` again behind it.
"""

from __future__ import annotations

from django.db import migrations

TABLE = "billing_ledgerentry"
EVENTS = {"update": "changed", "delete": "deleted"}


def sqlite() -> list[str]:
    return [
        f"""CREATE TRIGGER ledger_no_{event} BEFORE {event.upper()} ON {TABLE}
            BEGIN SELECT RAISE(ABORT, 'lines of the ledger are never {told}'); END"""
        for event, told in EVENTS.items()
    ]


def postgresql() -> list[str]:
    made = []
    for event, told in (*EVENTS.items(), ("truncate", "deleted")):
        made += [
            f"""CREATE FUNCTION ledger_no_{event}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    RAISE EXCEPTION 'lines of the ledger are never {told}'
                        USING ERRCODE = 'integrity_constraint_violation';
                END $$""",
            f"""CREATE TRIGGER ledger_no_{event} BEFORE {event.upper()} ON {TABLE}
                FOR EACH {"STATEMENT" if event == "truncate" else "ROW"} EXECUTE FUNCTION ledger_no_{event}()""",
        ]
    return made


def guard(apps, schema_editor) -> None:
    for statement in sqlite() if schema_editor.connection.vendor == "sqlite" else postgresql():
        schema_editor.execute(statement)


def unguard(apps, schema_editor) -> None:
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    for event in (*EVENTS, *(("truncate",) if on_postgresql else ())):
        schema_editor.execute(f"DROP TRIGGER ledger_no_{event}" + (f" ON {TABLE}" if on_postgresql else ""))
        if on_postgresql:
            schema_editor.execute(f"DROP FUNCTION ledger_no_{event}()")


class Migration(migrations.Migration):
    dependencies = [("billing", "0007_ledger_backfill")]
    operations = [migrations.RunPython(guard, unguard)]
