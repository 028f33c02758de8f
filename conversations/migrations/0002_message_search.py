"""Full-text search over messages.

SQLite: an FTS5 table with its own rowids, a map from them to message ids, and three
triggers. A later migration that rebuilds `conversations_message` drops the triggers
with the old table and must make them again; a test looks for them.
PostgreSQL: an index on the text's words, the same expression as in `conversations.search`.
"""

from typing import Any

from django.db import migrations

TRIGGERS = ("conversations_search_added", "conversations_search_changed", "conversations_search_removed")

# Longer texts are found by their beginning: a text's words must fit into one megabyte of index.
WORDS = "to_tsvector('simple', regexp_replace(left(content, 200000), '[!-/:-@[-`{-~]+', ' ', 'g'))"

_SQLITE = (
    "CREATE TABLE IF NOT EXISTS conversations_searchmap (id integer PRIMARY KEY, message_id char(32) NOT NULL UNIQUE)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS conversations_searchtext "
    "USING fts5(content, tokenize = 'unicode61 remove_diacritics 2')",
    """CREATE TRIGGER IF NOT EXISTS conversations_search_added AFTER INSERT ON conversations_message BEGIN
        INSERT INTO conversations_searchmap (message_id) VALUES (new.id);
        INSERT INTO conversations_searchtext (rowid, content)
            SELECT id, new.content FROM conversations_searchmap WHERE message_id = new.id;
    END""",
    """CREATE TRIGGER IF NOT EXISTS conversations_search_changed AFTER UPDATE OF content ON conversations_message
    WHEN old.content <> new.content BEGIN
        UPDATE conversations_searchtext SET content = new.content
            WHERE rowid = (SELECT id FROM conversations_searchmap WHERE message_id = new.id);
    END""",
    """CREATE TRIGGER IF NOT EXISTS conversations_search_removed AFTER DELETE ON conversations_message BEGIN
        DELETE FROM conversations_searchtext
            WHERE rowid = (SELECT id FROM conversations_searchmap WHERE message_id = old.id);
        DELETE FROM conversations_searchmap WHERE message_id = old.id;
    END""",
    # What was there before.
    "INSERT INTO conversations_searchmap (message_id) SELECT id FROM conversations_message "
    "WHERE id NOT IN (SELECT message_id FROM conversations_searchmap)",
    "INSERT INTO conversations_searchtext (rowid, content) SELECT m.id, c.content "
    "FROM conversations_searchmap m JOIN conversations_message c ON c.id = m.message_id "
    "WHERE m.id NOT IN (SELECT rowid FROM conversations_searchtext)",
)


def create(apps: Any, schema_editor: Any) -> None:
    """Makes what is missing; can run twice."""
    if schema_editor.connection.vendor == "sqlite":
        for statement in _SQLITE:
            schema_editor.execute(statement)
    elif schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(
            f"CREATE INDEX IF NOT EXISTS message_words ON conversations_message USING gin (({WORDS}))",
            params=None,
        )


def drop(apps: Any, schema_editor: Any) -> None:
    if schema_editor.connection.vendor == "sqlite":
        for name in TRIGGERS:
            schema_editor.execute(f"DROP TRIGGER IF EXISTS {name}")
        schema_editor.execute("DROP TABLE IF EXISTS conversations_searchtext")
        schema_editor.execute("DROP TABLE IF EXISTS conversations_searchmap")
    elif schema_editor.connection.vendor == "postgresql":
        schema_editor.execute("DROP INDEX IF EXISTS message_words")


class Migration(migrations.Migration):
    dependencies = [("conversations", "0001_initial")]
    operations = [migrations.RunPython(create, drop)]
