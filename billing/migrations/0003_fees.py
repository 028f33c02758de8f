"""Fees by the piece: for a request, for a web search. New columns that may be empty: no table is rebuilt."""

from __future__ import annotations

from importlib import import_module

from django.db import migrations, models

guards = import_module("billing.migrations.0002_price_guards")
FEES = ("per_request", "per_search")


def _changed(distinct: str) -> str:
    fees = " OR ".join(f'NEW."{name}" {distinct} OLD."{name}"' for name in FEES)
    return f"{fees} OR {guards.changed(distinct)}"


def _replace(schema_editor, sqlite: str, postgresql: str) -> None:
    """The guard of a price that is in force, with other columns."""
    if schema_editor.connection.vendor == "sqlite":
        schema_editor.execute("DROP TRIGGER billing_price_immutable")
        schema_editor.execute(
            f"""CREATE TRIGGER billing_price_immutable BEFORE UPDATE ON billing_priceversion
            WHEN {sqlite} BEGIN SELECT RAISE(ABORT, 'price versions are immutable'); END"""
        )
        return
    schema_editor.execute(
        f"""CREATE OR REPLACE FUNCTION billing_price_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF {postgresql} THEN
                RAISE EXCEPTION 'price versions are immutable' USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        END $$"""
    )


def guard(apps, schema_editor) -> None:
    _replace(schema_editor, _changed("IS NOT"), _changed("IS DISTINCT FROM"))


def unguard(apps, schema_editor) -> None:
    _replace(schema_editor, guards.changed("IS NOT"), guards.changed("IS DISTINCT FROM"))


class Migration(migrations.Migration):
    dependencies = [("billing", "0002_price_guards")]

    operations = [
        migrations.AddField(
            model_name="priceversion",
            name="per_request",
            field=models.BigIntegerField(blank=True, help_text="pico-USD for each request.", null=True),
        ),
        migrations.AddField(
            model_name="priceversion",
            name="per_search",
            field=models.BigIntegerField(blank=True, help_text="pico-USD for each web search.", null=True),
        ),
        migrations.AddField(
            model_name="attempt",
            name="searches",
            field=models.PositiveIntegerField(
                blank=True, help_text="Web searches that were charged.", null=True
            ),
        ),
        migrations.RunPython(guard, unguard),
    ]
