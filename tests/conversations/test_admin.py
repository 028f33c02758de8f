"""The admin over conversations: everything opens and is searched; what happened cannot be edited."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from conversations.models import Conversation, Message, Run, Task, ToolCall, Upload
from conversations.services.run_finish import run_end_unstarted
from conversations.services.run_start import run_start
from conversations.services.tasks import task_create
from workspaces.access import Actor
from workspaces.models import User

pytestmark = pytest.mark.django_db(transaction=True)

HISTORY = [Message, Run, ToolCall, Upload]


@pytest.fixture
def admin(alice: Actor) -> Client:
    """An operator, with one of everything to look at."""
    started = run_start(actor=alice, agent_id="demo-agent", input_="<script>alert(1)</script> walrus")
    run_end_unstarted(started.run.pk, status="failed", error_code="api_error", error_message="No answer.")
    ToolCall.objects.create(
        run=started.run, conversation=started.conversation, message_id=started.run.answer_id, call_id="c", tool_name="add",
        status="COMPLETED", result={"sum": 5}, duration_ms=1234,
    )  # fmt: skip
    Upload.objects.create(
        workspace=alice.workspace,
        user=alice.user,
        name="a.png",
        media_type="image/png",
        size=1,
        sha256="0",
        path="a",
    )
    task_create(actor=alice, title="Call the printer")
    client = Client()
    client.force_login(
        User.objects.create_superuser("root", "root@example.org", "pw"),
        backend="django.contrib.auth.backends.ModelBackend",
    )
    return client


def address(model, view: str, *args: object) -> str:
    return reverse(f"admin:conversations_{model._meta.model_name}_{view}", args=args)


@pytest.mark.parametrize("model", [Conversation, Task, *HISTORY])
def test_it_lists_searches_and_opens_everything(admin, model):
    page = admin.get(address(model, "changelist"))
    assert page.status_code == 200 and "Nexus" in page.content.decode()
    assert admin.get(address(model, "changelist"), {"q": "walrus"}).status_code == 200
    assert admin.get(address(model, "change", model.objects.first().pk)).status_code == 200
    assert "<script>alert(1)" not in page.content.decode()


@pytest.mark.parametrize("model", HISTORY)
def test_it_does_not_let_history_be_edited(admin, model):
    row = model.objects.first()
    assert admin.get(address(model, "add")).status_code == 403
    assert admin.post(address(model, "change", row.pk), {}).status_code == 403
    assert admin.post(address(model, "delete", row.pk), {"post": "yes"}).status_code == 403
    assert model.objects.filter(pk=row.pk).exists()


def test_it_leads_from_a_conversation_to_what_belongs_to_it(admin):
    conversation = Conversation.objects.get()
    page = admin.get(address(Conversation, "change", conversation.pk)).content.decode()
    for model in (Message, Run, ToolCall):
        link = f"{address(model, 'changelist')}?conversation__id__exact={conversation.pk}"
        assert link in page
        assert admin.get(link).status_code == 200
    run = admin.get(address(Run, "change", Run.objects.get().pk)).content.decode()
    assert reverse("admin:billing_attempt_changelist") in run


def test_it_is_for_operators_only(admin, alice):
    client = Client()
    client.force_login(alice.user, backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(address(Message, "changelist")).status_code == 302


def test_it_keeps_the_lists_cheap(admin, alice, django_assert_max_num_queries):
    for n in range(5):
        started = run_start(actor=alice, agent_id="demo-agent", input_=f"again {n}")
        run_end_unstarted(started.run.pk, status="cancelled")
    for model in (Conversation, Message, Run, ToolCall):
        with django_assert_max_num_queries(14):
            admin.get(address(model, "changelist"))
