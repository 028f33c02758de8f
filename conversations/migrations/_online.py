"""What migrations do to tables that are full and in use. No migration itself: Django leaves out what begins with `_`."""

from django.db import migrations


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
