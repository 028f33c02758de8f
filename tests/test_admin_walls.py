"""Every registered admin, for staff of one workspace: nothing of another in lists, filters, searches, choices,
pages or actions.

What is tried is made from the admin's registry: a model that is newly registered is in it by itself, and
fails until there is something of the other workspace to look for, or it is named as nobody's.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from agents.services import agent_create
from billing.models import Attempt, Budget, LedgerEntry
from conversations.models import (
    Approval,
    ApprovalVote,
    Conversation,
    Message,
    MessageFeedback,
    Run,
    StandingApproval,
    Task,
    ToolCall,
    Upload,
)
from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from conversations.services.tasks import task_create
from realtime.activity import activity_record
from tests.people import PASSWORD, person
from workspaces.access import Actor
from workspaces.models import ApiToken, Membership, ProviderKey, Role, User, Workspace
from workspaces.provider_keys import provider_key_set
from workspaces.services import membership_set, workspace_create
from workspaces.tokens import token_create

pytestmark = pytest.mark.django_db

CANARY = "borealis"
OPERATORS = {
    "auth.Group",
    "account.EmailAddress",
    "agents.ProviderEndpoint",
    "agents.NewsFeed",
    "billing.Plan",
    "mfa.Authenticator",
    "socialaccount.SocialAccount",
    "workspaces.AuditEvent",
}
"""Of the whole instance: closed to other staff altogether."""
OPEN = {"billing.PriceVersion"}
"""Of the whole instance, and no secret: other staff may look."""
BACKEND = "django.contrib.auth.backends.ModelBackend"
REGISTERED = dict(sorted((model._meta.label, model) for model in admin.site._registry))
WALLED = {label: model for label, model in REGISTERED.items() if label not in OPERATORS | OPEN}


def one_of_everything(actor: Actor, word: str) -> dict[str, models.Model]:
    """A row of each walled model in the actor's workspace, with that word in whatever has text."""
    agent = agent_create(
        actor=actor,
        fields={"name": f"{word} agent", "provider": "scripted", "model": f"{word}-model"},
        slug=f"{word}-agent",
    )
    started = run_start(actor=actor, agent_id=agent.slug, input_=f"{word} message")
    run_end_unstarted(
        started.run.pk, status="failed", error_code=f"{word}_error", error_message=f"{word} failed"
    )
    run = Run.objects.get(pk=started.run.pk)
    Run.objects.filter(pk=run.pk).update(provider=f"{word}-provider", model=f"{word}-model")
    Conversation.objects.filter(pk=run.conversation_id).update(title=f"{word} title")
    call = ToolCall.objects.create(
        run=run,
        conversation=run.conversation,
        message_id=run.answer_id,
        call_id="c",
        tool_name=f"{word}_tool",
    )
    approval = Approval.objects.create(
        call=call,
        run=run,
        conversation=run.conversation,
        workspace=actor.workspace,
        agent_slug=f"{word}-agent",
        tool_name=f"{word}_tool",
        status="approved",
        note=f"{word} note",
        decided_by=actor.user,
        expires_at=timezone.now(),
    )
    vote = ApprovalVote.objects.create(
        approval=approval, user=actor.user, decision="approve", note=f"{word} note"
    )
    standing = StandingApproval.objects.create(
        workspace=actor.workspace,
        agent_slug=f"{word}-agent",
        tool_name=f"{word}_tool",
        conversation=run.conversation,
        created_by=actor.user,
    )
    answer = Message.objects.get(pk=run.answer_id)
    feedback = MessageFeedback.objects.create(message=answer, user=actor.user, comment=f"{word} comment")
    upload = Upload.objects.create(
        workspace=actor.workspace,
        user=actor.user,
        conversation=run.conversation,
        name=f"{word}.png",
        media_type=f"image/{word}",
        size=1,
        sha256="0",
        path=f"{word}/path",
    )
    task = task_create(actor=actor, title=f"{word} task")
    provider_key_set(actor=actor, provider="openai", secret=f"sk-{word}-0123456789")
    token = token_create(user=actor.user, workspace=actor.workspace, name=f"{word} token").row
    activity_record(workspace_id=actor.workspace_id, activity_type=f"{word}_activity", user_id=actor.user_id)
    attempt = Attempt.objects.create(
        workspace_id=actor.workspace_id,
        user_id=actor.user_id,
        agent_slug=f"{word}-agent",
        conversation_id=run.conversation_id,
        run_id=run.pk,
        provider=f"{word}-provider",
        model=f"{word}-model",
        error_code=f"{word}_error",
        reserved_at=timezone.now(),
    )
    entry = LedgerEntry.objects.create(
        kind="settlement",
        workspace_id=actor.workspace_id,
        attempt_id=attempt.pk,
        model=f"{word}-model",
        provider=f"{word}-provider",
        agent_slug=f"{word}-agent",
        reserved_at=timezone.now(),
        created_at=timezone.now(),
    )
    rows: list[models.Model] = [
        Budget.objects.create(workspace_id=actor.workspace_id, name=f"{word} budget", limit=1),
        entry,
        agent,
        run,
        run.conversation,
        Message.objects.get(pk=run.message_id),
        call,
        Approval.objects.get(pk=approval.pk),
        ApprovalVote.objects.get(pk=vote.pk),
        StandingApproval.objects.get(pk=standing.pk),
        feedback,
        upload,
        Task.objects.get(pk=task.pk) if task is not None else Task.objects.get(title=f"{word} task"),
        token,
        ProviderKey.objects.get(workspace=actor.workspace),
        attempt,
        actor.user,
        actor.workspace,
        Membership.objects.get(workspace=actor.workspace, user=actor.user),
    ]
    found = {row._meta.label: row for row in rows}
    activities = WALLED["realtime.Activity"]._default_manager.filter(
        workspace=actor.workspace, activity_type=f"{word}_activity"
    )
    found["realtime.Activity"] = activities.get()
    return found


@pytest.fixture
def theirs(db: None) -> dict[str, models.Model]:
    """Another workspace, with one of everything."""
    workspace = workspace_create(name=f"{CANARY} house", slug=CANARY)
    return one_of_everything(person(f"{CANARY}-owner", workspace, Role.OWNER), CANARY)


@pytest.fixture
def mine(alice: Actor) -> dict[str, models.Model]:
    return one_of_everything(alice, "meadow")


@pytest.fixture
def staff(alice: Actor, mine: dict[str, models.Model]) -> Client:
    """Alice as staff: every right that a superuser could hand out, but no superuser."""
    alice.user.is_staff = True
    alice.user.save()
    alice.user.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(alice.user, backend=BACKEND)
    return client


def at(model: type[models.Model], view: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{view}", args=args)


def page(response: Any) -> str:
    assert response.status_code == 200, response.status_code
    return str(response.content.decode()).lower()


def rows(response: Any) -> set[Any]:
    return {row.pk for row in response.context["cl"].result_list}


def test_every_registered_model_stands_behind_a_wall(theirs):
    assert set(theirs) == set(WALLED), "say in this test whose the model is, and make one of it"


@pytest.mark.parametrize("label", WALLED)
def test_staff_see_their_own_and_nothing_of_another_workspace(staff, mine, theirs, label):
    model, row, own = WALLED[label], theirs[label], mine[label]
    listed = staff.get(at(model, "changelist"))
    assert CANARY not in page(listed)
    assert own.pk in rows(listed) and row.pk not in rows(listed)
    searched = staff.get(at(model, "changelist"), {"q": CANARY})
    assert searched.status_code == 200 and searched.context["cl"].result_count == 0
    assert CANARY not in page(staff.get(at(model, "change", own.pk)))
    for view in ("change", "delete", "history"):
        response = staff.get(at(model, view, row.pk))
        assert response.status_code in (302, 403, 404), view
        assert CANARY.encode() not in response.content.lower()
        assert response.status_code != 302 or "/admin/" in response["Location"]
    added = staff.get(at(model, "add"))
    assert added.status_code == 403 or CANARY not in page(added)


@pytest.mark.parametrize("label", WALLED)
def test_no_filter_tells_of_another_workspace(staff, mine, theirs, label):
    model, row = WALLED[label], theirs[label]
    other = theirs["workspaces.Workspace"]
    options = admin.site._registry[model]
    for given in options.get_list_filter(None):
        name = given if isinstance(given, str) else given[0]
        field = name.split("__")[-1]
        asked = other.pk if field == "workspace" else getattr(row, name, None) or CANARY
        for lookup in (f"{name}__id__exact", f"{name}__exact", name):
            response = staff.get(at(model, "changelist"), {lookup: asked}, follow=True)
            # A filter that this list does not have is refused, or leads back to the list.
            if response.status_code == 200 and "cl" in response.context:
                assert row.pk not in rows(response), lookup
    response = staff.get(at(model, "changelist"))
    changelist = response.context["cl"]
    for spec in changelist.filter_specs:
        choices = " ".join(str(choice["display"]) for choice in spec.choices(changelist))
        assert CANARY not in choices.lower(), spec


@pytest.mark.parametrize("label", WALLED)
def test_nothing_of_another_workspace_is_changed(staff, mine, theirs, label):
    model, row = WALLED[label], theirs[label]
    before = model._default_manager.filter(pk=row.pk).values().get()
    for view, body in (("change", {"name": "x", "title": "x"}), ("delete", {"post": "yes"})):
        assert staff.post(at(model, view, row.pk), body).status_code in (302, 403, 404)
    actions = admin.site._registry[model].actions
    for action in ["delete_selected", *(str(name) for name in actions or ())]:
        body = {"action": action, "_selected_action": [str(row.pk)], "post": "yes"}
        response = staff.post(at(model, "changelist"), body)
        assert CANARY.encode() not in response.content.lower()
    assert model._default_manager.filter(pk=row.pk).values().get() == before


@pytest.mark.parametrize("label", WALLED)
def test_no_choice_of_a_form_leads_to_another_workspace(staff, mine, theirs, label, rf, alice):
    """Neither in the form's own choices, nor by autocomplete, nor by an id that is simply posted."""
    model = WALLED[label]
    options = admin.site._registry[model]
    request = rf.get("/")
    request.user = User.objects.get(pk=alice.user_id)
    for field in model._meta.get_fields():
        if not (isinstance(field, models.ForeignKey) and field.related_model._meta.label in theirs):
            continue
        made: Any = options.formfield_for_dbfield(field, request)
        if made is not None:
            target = theirs[field.related_model._meta.label]
            assert not made.queryset.filter(pk=target.pk).exists(), field.name
            assert made.queryset.filter(pk=mine[field.related_model._meta.label].pk).exists(), field.name
        if field.name in options.autocomplete_fields:
            found = staff.get(
                reverse("admin:autocomplete"),
                {
                    "app_label": model._meta.app_label,
                    "model_name": model._meta.model_name,
                    "field_name": field.name,
                    "term": CANARY,
                },
            )
            assert found.status_code == 200 and found.json()["results"] == []


@pytest.mark.parametrize("label", sorted(OPERATORS))
def test_what_is_the_instances_is_closed_to_staff(staff, label):
    model = REGISTERED[label]
    for view in ("changelist", "add"):
        assert staff.get(at(model, view)).status_code == 403
    assert f"/admin/{model._meta.app_label}/{model._meta.model_name}/" not in page(staff.get("/admin/"))


def test_staff_cannot_become_somebody_who_is_more(staff, alice, bob, charlie):
    """Neither by rights of their own, nor by the password of a person who is also elsewhere."""
    own = at(User, "change", alice.user_id)
    staff.post(own, {"username": "alice", "is_superuser": "on", "is_staff": "on", "is_active": "on"})
    assert not User.objects.get(pk=alice.user_id).is_superuser
    membership_set(workspace=Workspace.objects.get(slug="acme"), user=charlie.user, role=Role.MEMBER)
    assert CANARY not in page(staff.get(at(User, "changelist")))
    assert b"charlie" in staff.get(at(User, "changelist")).content
    new = {
        "password1": "a new long passphrase",
        "password2": "a new long passphrase",
        "usable_password": "true",
    }
    password = f"/admin/workspaces/user/{charlie.user_id}/password/"
    assert staff.post(password, new).status_code == 403
    assert User.objects.get(pk=charlie.user_id).check_password(PASSWORD)
    assert staff.post(f"/admin/workspaces/user/{bob.user_id}/password/", new).status_code == 302
    root = User.objects.create_superuser("root", "root@example.org", "pw")
    membership_set(workspace=Workspace.objects.get(slug="acme"), user=root, role=Role.MEMBER)
    assert staff.post(f"/admin/workspaces/user/{root.pk}/password/", new).status_code == 403


def test_the_other_memberships_of_a_person_are_not_told(staff, theirs, alice, bob):
    membership_set(workspace=theirs["workspaces.Workspace"], user=bob.user, role=Role.MEMBER)
    shown = page(staff.get(at(User, "change", bob.user_id)))
    assert CANARY not in shown and "acme" in shown
    listed = staff.get(at(User, "changelist"))
    assert CANARY not in page(listed)


def test_members_who_are_not_admins_administer_nothing(alice, bob, mine):
    bob.user.is_staff = True
    bob.user.save()
    bob.user.user_permissions.set(Permission.objects.all())
    client = Client()
    client.force_login(bob.user, backend=BACKEND)
    for label, model in WALLED.items():
        assert rows(client.get(at(model, "changelist"))) == set(), label


def test_operators_see_every_workspace(mine, theirs):
    client = Client()
    client.force_login(User.objects.create_superuser("root", "root@example.org", "pw"), backend=BACKEND)
    for label, model in WALLED.items():
        assert client.get(at(model, "change", theirs[label].pk)).status_code == 200, label
    assert ApiToken.objects.count() == 2
