"""`manage.py rotate_keys`: writes every stored secret again with the first key of `NEXUS_ENCRYPTION_KEYS`."""

from __future__ import annotations

from typing import Any

from allauth.mfa.models import Authenticator
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, transaction

from workspaces.audit import record
from workspaces.crypto import EncryptedTextField, current_key_id, decrypt, encrypt

BATCH = 200
AUTHENTICATOR_SECRETS = ("secret", "seed")


class Command(BaseCommand):
    help = (
        "Re-encrypts every stored secret with the first key of NEXUS_ENCRYPTION_KEYS. Put the new key first, keep "
        "the old one behind it, restart, run this, then remove the old key."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        current = current_key_id()
        moved = 0
        for model in apps.get_models():
            for field in model._meta.local_fields:
                if isinstance(field, EncryptedTextField):
                    moved += self._rotate(
                        model._meta.db_table, str(model._meta.pk.column), str(field.column), current
                    )
        record("keys_reencrypted", metadata={"secrets": moved, "key": current})
        moved += self._rotate_authenticators(current)
        self.stdout.write(f"{moved} secrets now use the key {current}.")

    def _rotate_authenticators(self, current: str) -> int:
        """Second steps keep theirs inside of a JSON column."""
        moved = 0
        for pk in list(Authenticator.objects.values_list("pk", flat=True)):
            with transaction.atomic():
                row = Authenticator.objects.select_for_update().filter(pk=pk).first()
                stale = [] if row is None else [name for name in AUTHENTICATOR_SECRETS if name in row.data]
                stale = [name for name in stale if not row.data[name].startswith(f"{current}:")]
                if row is None or not stale:
                    continue
                try:
                    row.data |= {name: encrypt(decrypt(row.data[name])) for name in stale}
                except ImproperlyConfigured as fault:
                    raise CommandError(str(fault)) from None
                row.save(update_fields=["data"])
                moved += len(stale)
        return moved

    def _rotate(self, table: str, key: str, column: str, current: str) -> int:
        """Row by row, so that it can be broken off and run again; the stored text is read as it stands."""
        q = connection.ops.quote_name
        with connection.cursor() as cursor:
            cursor.execute(
                f"SELECT {q(key)}, {q(column)} FROM {q(table)} WHERE {q(column)} <> '' AND {q(column)} NOT LIKE %s",  # noqa: S608
                [f"{current}:%"],
            )
            rows = cursor.fetchall()
        for start in range(0, len(rows), BATCH):
            with transaction.atomic(), connection.cursor() as cursor:
                for row_id, stored in rows[start : start + BATCH]:
                    try:
                        fresh = encrypt(decrypt(stored))
                    except ImproperlyConfigured as fault:
                        raise CommandError(str(fault)) from None
                    # Only if nobody entered another secret meanwhile.
                    cursor.execute(
                        f"UPDATE {q(table)} SET {q(column)} = %s WHERE {q(key)} = %s AND {q(column)} = %s",  # noqa: S608
                        [fresh, row_id, stored],
                    )
        return len(rows)
