"""The database itself refuses prices that overlap, and changes to what a price says.

Only the end of a version may be drawn in (a newer one closes it). On SQLite a later
migration that rebuilds the table drops its triggers: run `guard` again behind it.
"""

from __future__ import annotations

from django.db import migrations

FIXED = [
    "id",
    "origin",
    "provider",
    "model",
    "context_over",
    "valid_from",
    "input",
    "output",
    "cache_read",
    "cache_write_5m",
    "cache_write_1h",
    "reasoning",
    "content_hash",
]

OVERLAP = """
    SELECT 1 FROM billing_priceversion p
    WHERE p.id <> NEW.id AND p.origin = NEW.origin AND p.provider = NEW.provider AND p.model = NEW.model
      AND p.context_over = NEW.context_over
      AND (NEW.valid_to IS NULL OR p.valid_from < NEW.valid_to)
      AND (p.valid_to IS NULL OR p.valid_to > NEW.valid_from)
"""


def changed(distinct: str) -> str:
    fixed = " OR ".join(f'NEW."{name}" {distinct} OLD."{name}"' for name in FIXED)
    return f"{fixed} OR NEW.valid_to IS NULL OR NEW.valid_to > OLD.valid_to"


SQLITE = [
    f"""CREATE TRIGGER billing_price_no_overlap BEFORE INSERT ON billing_priceversion
        WHEN EXISTS ({OVERLAP}) BEGIN SELECT RAISE(ABORT, 'price versions overlap'); END""",
    f"""CREATE TRIGGER billing_price_immutable BEFORE UPDATE ON billing_priceversion
        WHEN {changed("IS NOT")} BEGIN SELECT RAISE(ABORT, 'price versions are immutable'); END""",
]

POSTGRESQL = [
    f"""CREATE FUNCTION billing_price_no_overlap() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock(hashtextextended(
                'price-row:' || NEW.origin || ':' || NEW.provider || ':' || NEW.model, 0));
            IF EXISTS ({OVERLAP}) THEN
                RAISE EXCEPTION 'price versions overlap' USING ERRCODE = 'exclusion_violation';
            END IF;
            RETURN NEW;
        END $$""",
    """CREATE TRIGGER billing_price_no_overlap BEFORE INSERT ON billing_priceversion
        FOR EACH ROW EXECUTE FUNCTION billing_price_no_overlap()""",
    f"""CREATE FUNCTION billing_price_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {changed("IS DISTINCT FROM")} THEN
                RAISE EXCEPTION 'price versions are immutable' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END $$""",
    """CREATE TRIGGER billing_price_immutable BEFORE UPDATE ON billing_priceversion
        FOR EACH ROW EXECUTE FUNCTION billing_price_immutable()""",
]


def guard(apps, schema_editor) -> None:
    for statement in SQLITE if schema_editor.connection.vendor == "sqlite" else POSTGRESQL:
        schema_editor.execute(statement)


def unguard(apps, schema_editor) -> None:
    postgresql = schema_editor.connection.vendor == "postgresql"
    for name in ("billing_price_no_overlap", "billing_price_immutable"):
        schema_editor.execute(f"DROP TRIGGER {name}" + (" ON billing_priceversion" if postgresql else ""))
        if postgresql:
            schema_editor.execute(f"DROP FUNCTION {name}()")


class Migration(migrations.Migration):
    dependencies = [("billing", "0001_initial")]
    operations = [migrations.RunPython(guard, unguard)]
