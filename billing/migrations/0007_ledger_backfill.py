"""Attempts that ended before there was a ledger get the entry that closes them. In batches; it can run twice."""

from __future__ import annotations

from django.db import migrations

COPIED = (
    "workspace_id, user_id, token_id, agent_slug, conversation_id, run_id, provider, model, price_id, cost_input, "
    "cost_output, estimated, reserved_at"
)
BATCH = 5000
LEFT = (
    "settled_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM billing_ledgerentry l WHERE l.attempt_id = a.id "
    "AND l.kind IN ('settlement', 'release'))"
)


def fill(apps, schema_editor) -> None:
    false = "0" if schema_editor.connection.vendor == "sqlite" else "false"
    with schema_editor.connection.cursor() as cursor:
        while True:
            cursor.execute(
                f"INSERT INTO billing_ledgerentry (kind, attempt_id, amount, at_ceiling, numbers, note, created_at, {COPIED}) "  # noqa: S608
                "SELECT CASE status WHEN 'RELEASED' THEN 'release' ELSE 'settlement' END, id, "
                "CASE status WHEN 'RELEASED' THEN 0 ELSE cost_total END, "
                f"{false}, '', 'before the ledger', settled_at, {COPIED} FROM billing_attempt a WHERE {LEFT} "
                f"LIMIT {BATCH} ON CONFLICT DO NOTHING"
            )
            if cursor.rowcount <= 0:
                return


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("billing", "0006_budgets")]
    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
