"""The index by which the packer finds its work; PostgreSQL builds it while runs go on."""

from django.db import migrations, models


class AddIndexOnline(migrations.AddIndex):
    """`AddIndex` that holds up no writer where the database can do that."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        self._change(schema_editor.add_index, app_label, schema_editor, to_state)

    def database_backwards(self, app_label, schema_editor, from_state, to_state):
        self._change(schema_editor.remove_index, app_label, schema_editor, from_state)

    def _change(self, change, app_label, schema_editor, state):
        model = state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        online = schema_editor.connection.vendor == "postgresql"
        change(model, self.index, **({"concurrently": True} if online else {}))


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("conversations", "0007_step_digest")]

    operations = [
        AddIndexOnline(
            model_name="run",
            index=models.Index(
                condition=models.Q(("packed_at", None), ("status__in", ["complete", "cancelled", "failed"])),
                fields=["finished_at"],
                name="run_to_pack",
            ),
        ),
    ]
