from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("conversations", "0002_message_search")]

    operations = [
        migrations.AddField(
            model_name="conversation",
            name="temporary",
            field=models.BooleanField(
                db_default=False,
                default=False,
                help_text="In no list and no search; removed for good a day after its last message.",
            ),
        ),
        migrations.AddIndex(
            model_name="conversation",
            index=models.Index(
                condition=models.Q(("temporary", True)),
                fields=["last_active_at"],
                name="conversation_temporary",
            ),
        ),
    ]
