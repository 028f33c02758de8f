"""Invitations: who may make them, what ends them, who may use them, and how often."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.db import connection
from django.utils import timezone
from limits import parse

from tests.people import person
from workspaces import limits
from workspaces.access import Actor, Forbidden, Invalid, NotFound, TooManyRequests
from workspaces.invitations import (
    GONE,
    OtherAddress,
    invitation_accept,
    invitation_create,
    invitation_mail,
    invitation_of,
    invitation_revoke,
    invitations_pending,
)
from workspaces.members import member_change_role, member_remove
from workspaces.models import Invitation, Membership, Role, User
from workspaces.secrets import digest
from workspaces.tenancy import workspace_delete

pytestmark = pytest.mark.django_db


def stranger(name: str = "stefan", email: str = "") -> User:
    return User.objects.create(username=name, email=email)


def test_it_keeps_only_a_digest(alice: Actor) -> None:
    made = invitation_create(actor=alice)
    assert len(made.text) >= 43  # 256 bits
    row = Invitation.objects.get()
    assert row.digest == digest(made.text)
    assert made.text not in str(Invitation.objects.values().get())
    assert timedelta(days=6.9) < row.expires_at - timezone.now() < timedelta(days=7.1)


def test_it_lets_somebody_in_as_often_as_it_says(alice: Actor) -> None:
    once = invitation_create(actor=alice, role=Role.VIEWER)
    membership = invitation_accept(user=stranger(), key=digest(once.text))
    assert (membership.workspace, membership.role) == (alice.workspace, Role.VIEWER)
    with pytest.raises(NotFound, match=GONE):
        invitation_accept(user=stranger("second"), key=digest(once.text))
    many = invitation_create(actor=alice, most_uses=None)
    for name in "abc":
        invitation_accept(user=stranger(name), key=digest(many.text))
    assert Invitation.objects.get(pk=many.row.pk).uses == 3


def test_it_leaves_who_is_in_as_they_are_and_spends_nothing(alice: Actor, bob: Actor) -> None:
    made = invitation_create(actor=alice, role=Role.VIEWER)
    assert invitation_accept(user=bob.user, key=digest(made.text)).role == Role.MEMBER
    assert invitation_accept(user=alice.user, key=digest(made.text)).role == Role.OWNER
    assert Invitation.objects.get().uses == 0


def revoked(alice: Actor, made: Any) -> None:
    invitation_revoke(actor=alice, invitation_id=made.row.pk)


def expired(alice: Actor, made: Any) -> None:
    Invitation.objects.update(expires_at=timezone.now())


def used_up(alice: Actor, made: Any) -> None:
    invitation_accept(user=stranger("first"), key=digest(made.text))


def deleted(alice: Actor, made: Any) -> None:
    workspace_delete(actor=alice, confirm=alice.workspace.name)


def switched_off(alice: Actor, made: Any) -> None:
    User.objects.filter(pk=alice.user_id).update(is_active=False)


def wrong(alice: Actor, made: Any) -> None:
    Invitation.objects.update(digest=digest("another"))


@pytest.mark.parametrize("ending", [revoked, expired, used_up, deleted, switched_off, wrong])
def test_it_says_the_same_of_every_invitation_that_does_not_stand(ending: Any, alice: Actor) -> None:
    made = invitation_create(actor=alice)
    assert invitation_of(digest(made.text)) == made.row
    ending(alice, made)
    user = stranger()
    for attempt in (
        lambda: invitation_of(digest(made.text)),
        lambda: invitation_accept(user=user, key=digest(made.text)),
    ):
        with pytest.raises(NotFound) as refusal:
            attempt()
        assert str(refusal.value) == GONE
    assert not Membership.objects.filter(user=user).exists()


@pytest.mark.parametrize("goes", ["removed", "demoted"])
def test_it_ends_with_the_right_of_who_made_it(goes: str, alice: Actor) -> None:
    adam = person("adam", alice.workspace, Role.ADMIN)
    made = invitation_create(actor=adam)
    if goes == "removed":
        member_remove(actor=alice, user_id=adam.user_id)
    else:
        member_change_role(actor=alice, user_id=adam.user_id, role=Role.MEMBER)
    with pytest.raises(NotFound):
        invitation_accept(user=stranger(), key=digest(made.text))
    assert invitations_pending(alice) == []


def test_it_is_for_admins_of_its_workspace_only(
    alice: Actor, bob: Actor, vera: Actor, charlie: Actor
) -> None:
    made = invitation_create(actor=alice)
    for actor in (bob, vera):
        with pytest.raises(Forbidden):
            invitation_create(actor=actor)
        with pytest.raises(Forbidden):
            invitations_pending(actor)
        with pytest.raises(Forbidden):
            invitation_revoke(actor=actor, invitation_id=made.row.pk)
    assert invitations_pending(charlie) == []
    with pytest.raises(NotFound):
        invitation_revoke(actor=charlie, invitation_id=made.row.pk)


def test_it_makes_no_owner_and_no_admins_in_numbers(alice: Actor) -> None:
    for fields in (
        {"role": Role.OWNER},
        {"role": "king"},
        {"role": Role.ADMIN, "most_uses": None},
        {"role": Role.ADMIN, "most_uses": 2},
        {"most_uses": 0},
        {"days": 0},
        {"days": 91},
        {"email": "nobody"},
        {"email": "alice@example.org"},
    ):
        with pytest.raises(Invalid):
            invitation_create(actor=alice, **fields)
    assert not Invitation.objects.exists()


def test_it_goes_by_mail_to_one_address(alice: Actor, mailoutbox: list[Any]) -> None:
    sent = invitation_mail(
        actor=alice,
        email=" Nina@example.org ",
        role=Role.MEMBER,
        link=lambda text: f"https://host/join/{text}/",
    )
    (mail,) = mailoutbox
    assert mail.to == ["Nina@example.org"] and mail.subject == "Alice invites you to Acme"
    assert f"https://host/join/{sent.text}/" in mail.body
    with pytest.raises(OtherAddress):
        invitation_accept(user=stranger("other", "other@example.org"), key=digest(sent.text))
    with pytest.raises(OtherAddress):
        invitation_accept(user=stranger("none"), key=digest(sent.text))
    assert Invitation.objects.get().uses == 0
    invitation_accept(user=stranger("nina", "nina@EXAMPLE.org"), key=digest(sent.text))


def test_it_takes_another_confirmed_address_too(alice: Actor) -> None:
    made = invitation_create(actor=alice, email="nina@example.org")
    user = stranger("nina", "nina@home.example")
    address = EmailAddress.objects.create(user=user, email="nina@example.org", verified=False)
    with pytest.raises(OtherAddress):
        invitation_accept(user=user, key=digest(made.text))
    address.verified = True
    address.save()
    invitation_accept(user=user, key=digest(made.text))


def test_a_second_mail_takes_the_place_of_the_first(alice: Actor) -> None:
    first = invitation_create(actor=alice, email="nina@example.org")
    second = invitation_create(actor=alice, email="NINA@example.org")
    assert invitations_pending(alice) == [second.row]
    with pytest.raises(NotFound):
        invitation_of(digest(first.text))


def test_nobody_is_invited_by_a_mail_that_was_not_sent(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.EmailMessage.send", refuse)
    with pytest.raises(Invalid, match="could not be sent"):
        invitation_mail(actor=alice, email="nina@example.org", role=Role.MEMBER, link=str)
    assert invitations_pending(alice) == []


def test_a_name_puts_no_header_into_the_mail(alice: Actor, mailoutbox: list[Any]) -> None:
    User.objects.filter(pk=alice.user_id).update(name="Alice\r\nBcc: all@example.org")
    alice.user.refresh_from_db()
    invitation_mail(actor=alice, email="nina@example.org", role=Role.MEMBER, link=str)
    assert mailoutbox[0].subject == "Alice Bcc: all@example.org invites you to Acme"
    assert mailoutbox[0].recipients() == ["nina@example.org"]


@pytest.mark.usefixtures("within_a_day")
def test_it_is_limited(alice: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    limits.limits_reset()
    monkeypatch.setitem(limits.LIMITS, "invitations", parse("2/hour"))
    invitation_create(actor=alice)
    invitation_create(actor=alice)
    with pytest.raises(TooManyRequests):
        invitation_create(actor=alice)
    limits.limits_reset()


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_as_many_come_in_as_it_is_for(alice: Actor) -> None:
    made = invitation_create(actor=alice, most_uses=3)
    people = [stranger(f"person{number}") for number in range(12)]

    def accept(user: User) -> bool:
        try:
            invitation_accept(user=user, key=digest(made.text))
        except NotFound:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as pool:
        came = list(pool.map(accept, people))
    assert sum(came) == 3
    assert Membership.objects.filter(workspace=alice.workspace).count() == 4
