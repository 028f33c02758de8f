"""Read marks by the message's number: times of several processes do not put messages in an order."""

from django.db import migrations, models
from django.db.models import Max

BATCH = 500


def number_marks(apps, schema_editor):
    """What was read until a moment is read until the newest message of that moment. Can run twice."""
    marks = apps.get_model("conversations", "ConversationMark").objects.using(schema_editor.connection.alias)
    messages = apps.get_model("conversations", "Message").objects.using(schema_editor.connection.alias)
    last = 0
    while batch := list(
        marks.filter(pk__gt=last, read_number=0).exclude(read_at=None).order_by("pk")[:BATCH]
    ):
        for mark in batch:
            seen = messages.filter(conversation_id=mark.conversation_id, created_at__lte=mark.read_at)
            mark.read_number = seen.aggregate(newest=Max("number"))["newest"] or 0
        marks.bulk_update(batch, ["read_number"])
        last = batch[-1].pk


class Migration(migrations.Migration):
    dependencies = [("conversations", "0003_temporary_conversations")]

    operations = [
        migrations.AddField(
            model_name="conversationmark",
            name="read_number",
            field=models.PositiveIntegerField(
                db_default=0,
                default=0,
                help_text="The number of the newest message this person has seen.",
            ),
        ),
        migrations.RunPython(number_marks, migrations.RunPython.noop),
    ]
