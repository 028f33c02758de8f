"""Rows of a run's log that hold many chunks each, and when that was done."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0005_feedback_forks_and_context")]

    operations = [
        migrations.AddField(
            model_name="runchunk",
            name="packed",
            field=models.BinaryField(null=True),
        ),
        migrations.AddField(
            model_name="run",
            name="packed_at",
            field=models.DateTimeField(
                blank=True,
                help_text="When its log was packed, after its end (`services/packing.py`).",
                null=True,
            ),
        ),
    ]
