"""Secrets at rest: one field, encrypted with the operator's own list of keys.

`NEXUS_ENCRYPTION_KEYS` is a list of Fernet keys: the first encrypts, all decrypt.
A stored value is `<key id>:<Fernet token>`; the id (eight hex digits of the key's
SHA-256) says which key is missing when none fits, instead of a guess. A value that
cannot be read raises: it is never passed on as it stands, and so never saved back
mangled. `manage.py rotate_keys` writes every value again with the first key.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import models


class WrongEncryptionKey(ImproperlyConfigured):
    """A stored secret was encrypted with a key that is not (or no longer) configured."""


def key_id(key: str) -> str:
    """Eight hex digits that name a key without telling it."""
    return hashlib.sha256(key.encode()).hexdigest()[:8]


@lru_cache(maxsize=8)
def _ring(keys: tuple[str, ...]) -> dict[str, Fernet]:
    if not keys:
        raise ImproperlyConfigured(
            "NEXUS_ENCRYPTION_KEYS is empty. Set it to one or more Fernet keys, separated by commas; make one with: "
            'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
        )
    ring: dict[str, Fernet] = {}
    for key in keys:
        try:
            ring[key_id(key)] = Fernet(key)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"NEXUS_ENCRYPTION_KEYS has a value that is no Fernet key (32 bytes, urlsafe base64): {error}"
            ) from None
    return ring


def _configured() -> dict[str, Fernet]:
    return _ring(tuple(settings.NEXUS_ENCRYPTION_KEYS))


def current_key_id() -> str:
    """The id of the key that encrypts."""
    return next(iter(_configured()))


def encrypt(plain: str) -> str:
    """`<key id>:<token>` under the first configured key."""
    ring = _configured()
    first = next(iter(ring))
    return f"{first}:{ring[first].encrypt(plain.encode()).decode()}"


def decrypt(stored: str) -> str:
    """The plain text. Raises `WrongEncryptionKey` when no configured key fits."""
    name, _, token = stored.partition(":")
    fernet = _configured().get(name)
    if fernet is None:
        raise WrongEncryptionKey(
            f"A stored secret was encrypted with the key {name!r}, which NEXUS_ENCRYPTION_KEYS does not contain "
            f"(it has {', '.join(_configured())}). Put that key back, or delete the secret and enter it again."
        )
    try:
        return fernet.decrypt(token.encode()).decode()
    except InvalidToken:
        raise WrongEncryptionKey(
            f"A stored secret does not match its key {name!r}: the stored text was changed. Enter the secret again."
        ) from None


if TYPE_CHECKING:
    _Text = models.TextField[str, str]
else:  # at run time Django's fields take no type arguments
    _Text = models.TextField


class EncryptedTextField(_Text):
    """Text that is plain in Python and encrypted in the database. Cannot be searched, by design."""

    def get_prep_value(self, value: Any) -> Any:
        value = super().get_prep_value(value)
        return value if value is None or value == "" else encrypt(value)

    def from_db_value(self, value: str | None, expression: object, connection: object) -> str | None:
        return value if value is None or value == "" else decrypt(value)

    def get_lookup(self, lookup_name: str) -> Any:
        if lookup_name != "isnull":
            raise ImproperlyConfigured("An encrypted field cannot be searched.")
        return super().get_lookup(lookup_name)
