"""A digest of every completed step, so that a damaged one is not gone on from."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0006_packed_logs")]

    operations = [
        migrations.AddField(
            model_name="step",
            name="digest",
            field=models.BinaryField(
                help_text="SHA-256 of its content (`checkpoints.py`); null: older than digests.",
                max_length=32,
                null=True,
            ),
        ),
    ]
