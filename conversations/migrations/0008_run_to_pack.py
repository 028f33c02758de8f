"""The index by which the packer finds its work; PostgreSQL builds it while runs go on."""

from django.db import migrations, models

from ._online import AddIndexOnline


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
