"""The database itself refuses to change or delete an audit event.

Deleted are only events older than the moment a row of `workspaces_auditpruning` names, which `audit_prune` holds for
the length of its own transaction. On SQLite a later migration that rebuilds the table drops its triggers: run `guard`
again behind it.
"""

from __future__ import annotations

from django.db import migrations

EVENTS = "workspaces_auditevent"
OPEN = "SELECT 1 FROM workspaces_auditpruning p WHERE p.before > OLD.created_at"
ANY_OPEN = "SELECT 1 FROM workspaces_auditpruning"

SQLITE = [
    f"""CREATE TRIGGER audit_no_update BEFORE UPDATE ON {EVENTS}
        BEGIN SELECT RAISE(ABORT, 'audit events are never changed'); END""",
    f"""CREATE TRIGGER audit_no_delete BEFORE DELETE ON {EVENTS}
        WHEN NOT EXISTS ({OPEN}) BEGIN SELECT RAISE(ABORT, 'audit events are never deleted'); END""",
]

POSTGRESQL = [
    """CREATE FUNCTION audit_no_update() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION 'audit events are never changed' USING ERRCODE = 'integrity_constraint_violation';
        END $$""",
    f"""CREATE TRIGGER audit_no_update BEFORE UPDATE ON {EVENTS}
        FOR EACH ROW EXECUTE FUNCTION audit_no_update()""",
    f"""CREATE FUNCTION audit_no_delete() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS ({OPEN}) THEN
                RAISE EXCEPTION 'audit events are never deleted' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN OLD;
        END $$""",
    f"""CREATE TRIGGER audit_no_delete BEFORE DELETE ON {EVENTS}
        FOR EACH ROW EXECUTE FUNCTION audit_no_delete()""",
    f"""CREATE FUNCTION audit_no_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NOT EXISTS ({ANY_OPEN}) THEN
                RAISE EXCEPTION 'audit events are never deleted' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NULL;
        END $$""",
    f"""CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON {EVENTS}
        FOR EACH STATEMENT EXECUTE FUNCTION audit_no_truncate()""",
]


def guard(apps, schema_editor) -> None:
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


def unguard(apps, schema_editor) -> None:
    postgresql = schema_editor.connection.vendor == "postgresql"
    for name in ("audit_no_update", "audit_no_delete", *(["audit_no_truncate"] if postgresql else [])):
        schema_editor.execute(f"DROP TRIGGER {name}" + (f" ON {EVENTS}" if postgresql else ""))
        if postgresql:
            schema_editor.execute(f"DROP FUNCTION {name}()")


class Migration(migrations.Migration):
    dependencies = [("workspaces", "0004_audit_events")]
    operations = [migrations.RunPython(guard, unguard)]
