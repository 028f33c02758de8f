"""The index by which presence finds the agents that wait for people; PostgreSQL builds it while runs go on."""

from django.conf import settings
from django.db import migrations, models

from ._online import AddIndexOnline


class Migration(migrations.Migration):
    atomic = False

    dependencies = [
        ("agents", "0002_approval_terms"),
        ("conversations", "0013_drafts"),
        ("workspaces", "0006_share_links"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexOnline(
            model_name="run",
            index=models.Index(
                condition=models.Q(("waiting_since__isnull", False)),
                fields=["workspace"],
                name="run_waiting_for_people",
            ),
        ),
    ]
