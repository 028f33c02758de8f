"""Provider keys: encrypted at rest, readable only with their master key, never shown."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import connection

from workspaces.access import Actor, Forbidden, NotFound
from workspaces.crypto import WrongEncryptionKey, decrypt, encrypt, key_id
from workspaces.models import ProviderKey, Workspace
from workspaces.provider_keys import provider_key_delete, provider_key_for, provider_key_set
from workspaces.selectors import provider_keys_of

pytestmark = pytest.mark.django_db

SECRET = "sk-test-0123456789abcdef"


def stored() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM workspaces_providerkey ORDER BY provider")
        return [row[0] for row in cursor.fetchall()]


@pytest.fixture
def keys(settings: Any) -> list[str]:
    """Two master keys; the first is in force."""
    made = [Fernet.generate_key().decode() for _ in range(2)]
    settings.NEXUS_ENCRYPTION_KEYS = made[:1]
    return made


def test_it_keeps_no_plain_secret(alice: Actor, keys: list[str]) -> None:
    key = provider_key_set(actor=alice, provider="openai", secret=f" {SECRET}\n")
    assert key.last_four == "cdef"
    (raw,) = stored()
    assert SECRET not in raw
    assert raw.startswith(key_id(keys[0]) + ":")
    assert ProviderKey.objects.get().secret == SECRET


def test_it_shows_nothing_of_a_short_secret(alice: Actor, keys: list[str]) -> None:
    assert provider_key_set(actor=alice, provider="openai", secret="short").last_four == ""


def test_it_replaces_the_key_before(alice: Actor, keys: list[str]) -> None:
    provider_key_set(actor=alice, provider="openai", secret=SECRET)
    provider_key_set(actor=alice, provider="openai", secret="sk-second-0123456789")
    assert ProviderKey.objects.count() == 1
    assert provider_key_for(alice.workspace_id, alice.user_id, "openai") == "sk-second-0123456789"


def test_it_prefers_the_persons_own_key_where_allowed(alice: Actor, bob: Actor, keys: list[str]) -> None:
    provider_key_set(actor=alice, provider="openai", secret="sk-of-the-workspace")
    provider_key_set(actor=bob, provider="openai", secret="sk-of-bob-himself", personal=True)
    where = alice.workspace_id
    assert provider_key_for(where, bob.user_id, "openai") == "sk-of-bob-himself"
    assert provider_key_for(where, alice.user_id, "openai") == "sk-of-the-workspace"
    assert provider_key_for(where, None, "openai") == "sk-of-the-workspace"
    assert provider_key_for(where, bob.user_id, "anthropic") is None
    Workspace.objects.update(allow_personal_keys=False)
    assert provider_key_for(where, bob.user_id, "openai") == "sk-of-the-workspace"


def test_it_never_reaches_into_another_workspace(alice: Actor, charlie: Actor, keys: list[str]) -> None:
    provider_key_set(actor=charlie, provider="openai", secret=SECRET)
    assert provider_key_for(alice.workspace_id, alice.user_id, "openai") is None
    assert provider_keys_of(alice) == []
    with pytest.raises(NotFound):
        provider_key_delete(actor=alice, provider="openai")


def test_it_lets_admins_set_the_workspaces_and_everyone_their_own(
    alice: Actor, bob: Actor, vera: Actor, keys: list[str]
) -> None:
    with pytest.raises(Forbidden):
        provider_key_set(actor=bob, provider="openai", secret=SECRET)
    with pytest.raises(Forbidden):
        provider_key_set(actor=vera, provider="openai", secret=SECRET, personal=True)
    provider_key_set(actor=bob, provider="openai", secret=SECRET, personal=True)
    provider_key_delete(actor=bob, provider="openai", personal=True)
    assert not ProviderKey.objects.exists()
    bob.workspace.allow_personal_keys = False
    with pytest.raises(Forbidden):
        provider_key_set(actor=bob, provider="openai", secret=SECRET, personal=True)


def test_it_lists_keys_without_loading_secrets(alice: Actor, keys: list[str], settings: Any) -> None:
    provider_key_set(actor=alice, provider="openai", secret=SECRET)
    settings.NEXUS_ENCRYPTION_KEYS = keys[1:]
    (listed,) = provider_keys_of(alice)
    assert listed.last_four == "cdef"


def test_it_fails_closed_under_a_wrong_master_key(alice: Actor, keys: list[str], settings: Any) -> None:
    provider_key_set(actor=alice, provider="openai", secret=SECRET)
    before = stored()
    settings.NEXUS_ENCRYPTION_KEYS = keys[1:]
    with pytest.raises(WrongEncryptionKey, match=rf"{key_id(keys[0])}.*NEXUS_ENCRYPTION_KEYS"):
        provider_key_for(alice.workspace_id, None, "openai")
    with pytest.raises(CommandError, match="NEXUS_ENCRYPTION_KEYS"):
        call_command("rotate_keys")
    assert stored() == before


def test_it_rotates_to_the_first_key(alice: Actor, keys: list[str], settings: Any, capsys: Any) -> None:
    provider_key_set(actor=alice, provider="openai", secret=SECRET)
    provider_key_set(actor=alice, provider="gemini", secret="another-secret-key")
    settings.NEXUS_ENCRYPTION_KEYS = [keys[1], keys[0]]
    assert provider_key_for(alice.workspace_id, None, "openai") == SECRET
    call_command("rotate_keys")
    assert "2 secrets" in capsys.readouterr().out
    assert {raw.partition(":")[0] for raw in stored()} == {key_id(keys[1])}
    settings.NEXUS_ENCRYPTION_KEYS = [keys[1]]
    assert provider_key_for(alice.workspace_id, None, "openai") == SECRET
    call_command("rotate_keys")
    assert "0 secrets" in capsys.readouterr().out


def test_it_notices_a_changed_ciphertext(keys: list[str]) -> None:
    text = encrypt("secret")
    with pytest.raises(WrongEncryptionKey):
        decrypt(text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1])


@pytest.mark.parametrize("value", [[], ["no key at all"]])
def test_it_says_what_is_wrong_with_the_setting(settings: Any, value: list[str]) -> None:
    settings.NEXUS_ENCRYPTION_KEYS = value
    with pytest.raises(ImproperlyConfigured, match="NEXUS_ENCRYPTION_KEYS"):
        encrypt("x")


def test_it_cannot_be_searched(keys: list[str]) -> None:
    with pytest.raises(ImproperlyConfigured):
        ProviderKey.objects.filter(secret="x").exists()
