"""Whoever writes an attempt of an hour that was added up, by whatever way, draws the seal back before it.

Attempts of the last hour are never sealed, so that the triggers of the usual writes end at once. The UPDATE asks
for no `until`: on PostgreSQL it waits for a sealing under way and then sees what that sealed.
"""

from __future__ import annotations

from django.db import migrations

TIMES = {"INSERT": ["NEW"], "UPDATE": ["OLD", "NEW"], "DELETE": ["OLD"]}


def sqlite() -> list[str]:
    return [
        f"""CREATE TRIGGER billing_seal_{event.lower()} AFTER {event} ON billing_attempt
            WHEN {" OR ".join(f"{row}.reserved_at < datetime('now', '-1 hour')" for row in rows)}
            BEGIN {"".join(_drawn_back(row) for row in rows)} END"""
        for event, rows in TIMES.items()
    ]


def _drawn_back(row: str) -> str:
    hour = f"substr({row}.reserved_at, 1, 13) || ':00:00'"
    return (
        f"UPDATE billing_usageseal SET until = min(until, {hour}) WHERE workspace_id = {row}.workspace_id; "  # noqa: S608
    )


def postgresql() -> list[str]:
    made = []
    for event, rows in TIMES.items():
        name = f"billing_seal_{event.lower()}"
        steps = "".join(
            f"UPDATE billing_usageseal SET until = LEAST(until, date_trunc('hour', {row}.reserved_at, 'UTC')) "  # noqa: S608
            f"WHERE workspace_id = {row}.workspace_id; "
            for row in rows
        )
        late = " OR ".join(f"{row}.reserved_at < now() - interval '1 hour'" for row in rows)
        made += [
            f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN {steps} RETURN NULL; END $$""",
            f"""CREATE TRIGGER {name} AFTER {event} ON billing_attempt
                FOR EACH ROW WHEN ({late}) EXECUTE FUNCTION {name}()""",
        ]
    return made


def guard(apps, schema_editor) -> None:
    for statement in sqlite() if schema_editor.connection.vendor == "sqlite" else postgresql():
        schema_editor.execute(statement)


def unguard(apps, schema_editor) -> None:
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    for event in TIMES:
        name = f"billing_seal_{event.lower()}"
        schema_editor.execute(f"DROP TRIGGER {name}" + (" ON billing_attempt" if on_postgresql else ""))
        if on_postgresql:
            schema_editor.execute(f"DROP FUNCTION {name}()")


class Migration(migrations.Migration):
    dependencies = [("billing", "0004_hours")]
    operations = [migrations.RunPython(guard, unguard)]
