"""Two-step sign-in where a workspace asks for it: an authenticator app or a passkey, or one is led to set it up.

It is asked of people who came by a browser's session: pages, the API with a cookie, sockets and tickets made with
one. API tokens stay as they are: they are made by somebody who got in, are revoked one by one, and programs have no phone.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from allauth.mfa.models import Authenticator

from .access import Actor, Forbidden
from .models import User, Workspace

SECOND_STEPS = (Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN)
"""Recovery codes alone are none: they only stand in for one of these."""


class TwoStepRequired(Forbidden):
    """The workspace asks for two-step sign-in, and this person has not set it up."""

    code = "two_step_required"

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(
            f"{workspace.name} asks for two-step sign-in. Set up an authenticator app or a passkey first."
        )
        self.workspace = workspace


def has_second_step(user: User) -> bool:
    return bool(with_second_step([user.pk]))


def with_second_step(user_ids: Iterable[UUID]) -> set[UUID]:
    """Those of these people who have a second step."""
    found = Authenticator.objects.filter(user_id__in=list(user_ids), type__in=SECOND_STEPS)
    return set(found.values_list("user_id", flat=True))


def require_second_step(actor: Actor) -> Actor:
    """The actor, if their workspace lets them in as they came. Raises `TwoStepRequired`."""
    if actor.token_id is None and actor.workspace.require_two_step and not has_second_step(actor.user):
        raise TwoStepRequired(actor.workspace)
    return actor
