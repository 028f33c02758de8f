"""Read-only links: what they show and never show, to whom, and that they end at once."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from django.test import AsyncClient
from django.utils import timezone
from limits import parse

from conversations.database import in_database
from conversations.models import Conversation, Message, ShareLink
from conversations.services.conversations import conversation_delete, conversation_restore
from nexus_core.messages import TextPart, ToolCallPart
from nexus_core.providers.base import ReasoningDelta, Stop, TextDelta
from nexus_core.tools import tool
from workspaces.limits import LIMITS, limits_reset
from workspaces.models import AuditEvent, Membership, Role, User, Workspace
from workspaces.services import membership_remove, membership_set
from workspaces.tenancy import workspace_delete

from .api_client import Person, error_of
from .test_api_files import PNG, media, send

pytestmark = pytest.mark.django_db(transaction=True)
_ = media  # the fixture: files of these tests go into a folder of their own


@tool
async def lookup(word: str) -> str:
    """Looks a word up."""
    return "the-result-of-the-tool"


async def asked(alice, plays, *turns) -> tuple[Person, str]:
    call = Stop("tool_calls", (ToolCallPart("c1", "lookup", {"word": "the-input-of-the-tool"}),), None)
    plays(
        *(
            turns
            or (
                [ReasoningDelta("the-thinking"), call],
                [TextDelta("The **answer**."), Stop("end", (TextPart("The **answer**."),), None)],
            )
        ),
        tools=[lookup],
    )
    mine = await Person(alice).log_in()
    return mine, (await mine.ask("What is it?"))["conversationId"]


async def link(mine: Person, conversation: str, **body) -> dict:
    made = await mine.post(f"/api/conversations/{conversation}/links", body)
    assert made.status_code == 201, made.content
    return made.json()


def path_of(made: dict) -> str:
    return "/" + made["url"].split("/", 3)[3]


async def opened(made: dict):
    return await AsyncClient().get(path_of(made))


async def test_it_shows_the_words_and_nothing_else(engine, alice, plays):
    mine, conversation = await asked(alice, plays)
    await mine.ask("/help", conversationId=conversation)
    await in_database(Workspace.objects.filter(pk=alice.workspace_id).update, name="Secret name of us")
    made = await link(mine, conversation)
    assert (
        len(path_of(made).split("/")[2]) >= 43
        and "url" not in (await mine.get("/api/links")).json()["items"][0]
    )
    page = await opened(made)
    text = page.content.decode()
    assert page.status_code == 200 and "What is it?" in text and "<strong>answer</strong>" in text
    assert "Used <span" in text and "lookup" in text and "Person" in text
    for hidden in (
        "the-thinking", "the-input", "the-result", "Alice", "alice", "Secret name", "scripted-1", "token", "cost", "$",
        "/help", "<script", "csrf", conversation, str(alice.user_id), made["id"],
    ):  # fmt: skip
        assert hidden not in text, hidden
    assert "no-store" in page["Cache-Control"]
    assert page["Referrer-Policy"] == "no-referrer" and "noindex" in page["X-Robots-Tag"]
    assert page["Content-Security-Policy"].startswith("default-src 'none'; style-src 'self'")
    assert "script-src" not in page["Content-Security-Policy"] and not page.cookies
    assert page["X-Frame-Options"] == "DENY" and "Cookie" not in page.get("Vary", "")


async def test_it_names_people_where_its_maker_wants_that(engine, alice, plays):
    mine, conversation = await asked(alice, plays)
    text = (await opened(await link(mine, conversation, names=True))).content.decode()
    assert "Alice" in text and "Person" not in text


async def test_it_shows_what_was_said_then_until_it_is_brought_up_to_date(engine, alice, bob, plays):
    mine, conversation = await asked(alice, plays, "One.", "Two.")
    made = await link(mine, conversation)
    await mine.ask("And then?", conversationId=conversation)
    await mine.patch(f"/api/conversations/{conversation}", {"title": "A later title"})
    before = (await opened(made)).content.decode()
    assert "One." in before and "Two." not in before and "A later title" not in before
    his = await Person(bob).log_in()
    assert error_of(await his.post(f"/api/links/{made['id']}/refresh")) == (403, "forbidden")
    assert (await mine.post(f"/api/links/{made['id']}/refresh")).json()["messageCount"] == 4
    after = (await opened(made)).content.decode()
    assert "Two." in after and "A later title" in after


async def test_it_is_brought_up_to_date_only_by_who_may_still_share(engine, alice, bob, plays):
    """What is newer may be nothing for who made the link: it shows on what they saw then."""
    await in_database(membership_set, workspace=alice.workspace, user=bob.user, role=Role.ADMIN)
    mine, conversation = await asked(alice, plays, "One.", "Two.")
    his = await Person(bob).log_in()
    made = await link(his, conversation)
    again = f"/api/links/{made['id']}/refresh"
    assert (await his.post(again)).status_code == 200
    await in_database(membership_set, workspace=alice.workspace, user=bob.user, role=Role.MEMBER)
    await mine.ask("And then?", conversationId=conversation)
    assert error_of(await his.post(again)) == (403, "forbidden")
    await mine.put(f"/api/conversations/{conversation}/sharing", {"visibility": "private"})
    assert error_of(await his.post(again)) == (404, "not_found")
    assert "Two." not in (await opened(made)).content.decode()


@pytest.mark.parametrize(
    "end",
    [
        "revoked", "expired", "deleted", "deleted-alone", "restored", "switched-off", "workspace-deleted",
        "maker-left", "maker-views", "maker-switched-off", "unknown",
    ],
)  # fmt: skip
async def test_it_ends_alike_whatever_ended_it(engine, alice, bob, plays, end):
    mine, conversation = await asked(alice, plays)
    made = await link(mine, conversation)
    assert (await opened(made)).status_code == 200
    rows = ShareLink.objects.filter(pk=made["id"])
    if end == "revoked":
        assert (await mine.delete(f"/api/links/{made['id']}")).status_code == 204
        assert (await mine.delete(f"/api/links/{made['id']}")).status_code == 204
    elif end == "expired":
        await in_database(rows.update, expires_at=timezone.now() - timedelta(seconds=1))
    elif end in ("deleted", "restored"):
        await in_database(conversation_delete, actor=alice, conversation_id=conversation)
        if end == "restored":
            await in_database(conversation_restore, actor=alice, conversation_id=conversation)
    elif end == "deleted-alone":  # without what ends its links
        await in_database(Conversation.objects.update, deleted_at=timezone.now())
    elif end == "switched-off":
        assert (await mine.patch("/api/workspaces/current", {"allowShareLinks": False})).status_code == 200
        assert error_of(await mine.post(f"/api/conversations/{conversation}/links", {})) == (403, "forbidden")
    elif end == "workspace-deleted":
        await in_database(workspace_delete, actor=alice, confirm=alice.workspace.name)
    elif end == "maker-switched-off":
        await in_database(User.objects.filter(pk=alice.user_id).update, is_active=False)
    elif end == "maker-left":
        await in_database(membership_remove, workspace=alice.workspace, user=alice.user)
    elif end == "maker-views":
        await in_database(Membership.objects.filter(user=alice.user).update, role=Role.VIEWER)
    else:
        made = {"url": "http://testserver/s/" + "A" * 43 + "/"}
    gone = await opened(made)
    absent = await AsyncClient().get("/s/nothing/")
    assert gone.status_code == absent.status_code == 404 and gone.content == absent.content
    own = ("X-Request-Id", "Expires")  # the moment it was asked
    assert [row for row in gone.items() if row[0] not in own] == [
        row for row in absent.items() if row[0] not in own
    ]
    assert "no-store" in gone["Cache-Control"] and "noindex" in gone["X-Robots-Tag"]


async def test_it_is_for_who_began_it_and_for_admins(engine, alice, bob, vera, charlie, plays):
    mine, conversation = await asked(alice, plays)
    his, hers, stranger = [await Person(actor).log_in() for actor in (bob, vera, charlie)]
    for who, status in ((his, 403), (hers, 403), (stranger, 404)):
        assert (await who.post(f"/api/conversations/{conversation}/links", {})).status_code == status
    made = await link(mine, conversation)
    for who, status in ((his, 403), (hers, 403), (stranger, 404)):
        assert (await who.delete(f"/api/links/{made['id']}")).status_code == status
        assert (await who.get("/api/links")).json()["items"] == []
    assert (await opened(made)).status_code == 200
    await mine.put(f"/api/conversations/{conversation}/sharing", {"visibility": "private"})
    assert (await his.delete(f"/api/links/{made['id']}")).status_code == 404
    assert (await opened(made)).status_code == 200, "a link is its own decision"
    for body in ({"days": 2}, {"days": "7"}, {"names": "yes"}):
        assert (await mine.post(f"/api/conversations/{conversation}/links", body)).status_code == 422
    empty = (await mine.post("/api/conversations", {"title": "empty"})).json()["id"]
    assert (await mine.post(f"/api/conversations/{empty}/links", {})).status_code == 422


async def test_it_keeps_no_address_and_tells_the_audit(engine, alice, plays):
    mine, conversation = await asked(alice, plays)
    made = await link(mine, conversation, days=None)
    token = path_of(made).split("/")[2]
    for _round in range(3):
        await opened(made)
    await AsyncClient().head(path_of(made))
    row = await in_database(ShareLink.objects.get)
    assert (row.opens, row.expires_at) == (3, None) and token not in str(row.__dict__)
    await mine.delete(f"/api/links/{made['id']}")
    events = await in_database(
        lambda: list(AuditEvent.objects.filter(target_type="share_link").order_by("id"))
    )
    assert [event.action for event in events] == ["link_created", "link_opened", "link_revoked"]
    assert events[1].workspace_id == alice.workspace_id and events[1].user_id is None
    assert token not in str([event.__dict__ for event in events])


async def test_it_shows_images_of_the_shown_messages_only(engine, alice, plays, media):
    mine, conversation = await asked(alice, plays, "One.", "Seen.", "Later.")
    first, second, loose = [(await send(mine, f"{name}.png", PNG)).json()["fileId"] for name in "abc"]
    await mine.ask(
        [{"type": "text", "text": "Look"}, {"type": "image", "fileId": first}], conversationId=conversation
    )
    made = await link(mine, conversation)
    await mine.ask([{"type": "image", "fileId": second}], conversationId=conversation)
    base = path_of(made)
    source = re.search(r'<img class="shot" src="([^"]+)"', (await opened(made)).content.decode())
    assert source is not None and source[1] == f"{base}files/{first}"
    image = await AsyncClient().get(source[1])
    assert (image.status_code, image.content, image["Content-Type"]) == (200, PNG, "image/png")
    assert (
        image["Content-Security-Policy"] == "default-src 'none'; sandbox"
        and "no-store" in image["Cache-Control"]
    )
    for hidden in (second, loose):
        assert (await AsyncClient().get(f"{base}files/{hidden}")).status_code == 404
    await mine.delete(f"/api/links/{made['id']}")
    assert (await AsyncClient().get(source[1])).status_code == 404


async def test_it_runs_nothing_that_somebody_wrote(engine, alice, plays):
    evil = "<script>alert(1)</script> <img src=x onerror=alert(1)> [go](javascript:alert(1)) ![p](https://evil.example/p.png)"
    mine, _conversation = await asked(alice, plays, "One.", evil)
    asked_ = await mine.ask(evil)
    await mine.patch(f"/api/conversations/{asked_['conversationId']}", {"title": evil[:190]})
    text = (await opened(await link(mine, asked_["conversationId"]))).content.decode()
    assert "<script" not in text and "<img src=x" not in text and 'href="javascript' not in text
    assert 'src="https://evil' not in text


async def test_it_shows_a_long_one_in_parts(engine, alice, plays, monkeypatch):
    mine, conversation = await asked(alice, plays, "One.", "Two.")
    await mine.ask("Second question", conversationId=conversation)
    monkeypatch.setattr("conversations.shared_page.PART", 2)
    made = await link(mine, conversation)
    first = (await opened(made)).content.decode()
    second = (await AsyncClient().get(path_of(made) + "?part=2")).content.decode()
    assert "One." in first and "Second question" not in first and "?part=2" in first
    assert "One." not in second and "Second question" in second and "?part=1" in second
    for odd in ("0", "-1", "x", "99999999999"):
        assert (await AsyncClient().get(path_of(made) + f"?part={odd}")).status_code == 200


async def test_it_is_not_guessed_quickly(engine, alice, plays, monkeypatch):
    mine, conversation = await asked(alice, plays)
    made = await link(mine, conversation)
    monkeypatch.setitem(LIMITS, "doors", parse("5/minute"))
    limits_reset()
    # A minute may end while it guesses: then it has as many tries again.
    most = 2 * LIMITS["doors"].amount + 1
    answers: list[int] = []
    while 429 not in answers and len(answers) < most:
        answers.append((await AsyncClient().get(f"/s/{len(answers)}/")).status_code)
    assert answers[0] == 404 and answers[-1] == 429
    assert (await opened(made)).status_code == 200, "who has the link is not locked out by a guesser's noise"
    assert await in_database(Message.objects.count) > 0
