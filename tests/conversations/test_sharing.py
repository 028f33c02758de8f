"""Who may see a conversation: named people with the right to view or to write, at once, everywhere."""

from __future__ import annotations

import pytest

from conversations.database import in_database
from conversations.models import Conversation, ConversationShare
from conversations.services.conversations import conversation_create, conversation_update
from realtime.models import Activity
from tests.realtime.conftest import connect  # noqa: F401  (a fixture)
from workspaces.models import AuditEvent
from workspaces.services import membership_remove

from .api_client import Person, error_of

pytestmark = pytest.mark.django_db(transaction=True)


def at(conversation: Conversation, tail: str = "") -> str:
    return f"/api/conversations/{conversation.pk}{tail}"


async def made(actor, **fields) -> Conversation:
    return await in_database(conversation_create, actor=actor, title="Plan", **fields)


async def test_it_shares_with_people_to_view_and_to_write(engine, alice, bob, vera, plays):
    plays("Hello.")
    mine, his, hers = [await Person(actor).log_in() for actor in (alice, bob, vera)]
    plan = await made(alice, visibility="private", agent_id="demo-agent")
    assert error_of(await his.get(at(plan))) == (404, "not_found")
    assert error_of(await his.get(at(plan, "/sharing"))) == (404, "not_found")

    for right, status in (("view", 403), ("write", 200)):
        people = [{"userId": str(bob.user_id), "right": right}]
        given = await mine.put(at(plan, "/sharing"), {"visibility": "shared", "people": people})
        assert [(p["userId"], p["right"]) for p in given.json()["people"]] == [(str(bob.user_id), right)]
        assert (await his.get(at(plan))).status_code == 200
        assert (await his.patch(at(plan), {"title": f"By Bob {right}"})).status_code == status
        asked = await his.post(
            "/api/invoke", {"message": "hi", "conversationId": str(plan.pk), "background": True}
        )
        assert asked.status_code in ((403,) if right == "view" else (202,)), asked.content
        seen = (await his.get(at(plan, "/sharing"))).json()
        assert seen["mayShare"] is False and seen["others"] == [] and seen["links"] == []
        assert (await hers.get(at(plan))).status_code == 404

    refused = await his.put(at(plan, "/sharing"), {"visibility": "workspace"})
    assert error_of(refused) == (403, "forbidden")
    await mine.put(at(plan, "/sharing"), {"visibility": "private", "people": people})
    assert (await his.get(at(plan))).status_code == 404, "private is private, whoever was on its list"
    kept = (await mine.get(at(plan, "/sharing"))).json()
    assert [person["userId"] for person in kept["people"]] == [str(bob.user_id)]


async def test_it_gives_a_viewer_of_the_workspace_no_right_to_write(alice, vera):
    mine, hers = [await Person(actor).log_in() for actor in (alice, vera)]
    plan = await made(alice, visibility="private")
    people = [{"userId": str(vera.user_id), "right": "write"}]
    assert (
        await mine.put(at(plan, "/sharing"), {"visibility": "shared", "people": people})
    ).status_code == 200
    assert (await hers.get(at(plan))).status_code == 200
    assert (await hers.patch(at(plan), {"title": "no"})).status_code == 403


async def test_it_takes_nobody_from_outside_and_nothing_unknown(alice, bob, charlie):
    mine = await Person(alice).log_in()
    plan = await made(alice)
    stranger = [{"userId": str(charlie.user_id)}]
    refused = await mine.put(at(plan, "/sharing"), {"visibility": "shared", "people": stranger})
    assert error_of(refused) == (404, "not_found")
    for body in (
        {"visibility": "everyone"},
        {"visibility": "shared", "people": [{"userId": str(bob.user_id), "right": "own"}]},
        {"visibility": "shared", "people": [{"userId": "x"}]},
    ):
        assert error_of(await mine.put(at(plan, "/sharing"), body)) == (422, "invalid_request")
    assert await in_database(lambda: Conversation.objects.get(pk=plan.pk).visibility) == "workspace"
    chat = await made(alice, temporary=True)
    assert (await mine.put(at(chat, "/sharing"), {"visibility": "workspace"})).status_code == 422


async def test_it_tells_everyone_concerned_at_once(alice, bob, vera, connect):  # noqa: F811
    plan = await made(alice)
    mine, his, hers = [await connect(actor) for actor in (alice, bob, vera)]
    for socket in (mine, his, hers):
        await socket.ask({"type": "subscribe", "conversationId": str(plan.pk)}, "subscribed")
    boss = await Person(alice).log_in()
    people = [{"userId": str(bob.user_id), "right": "view"}]
    await boss.put(at(plan, "/sharing"), {"visibility": "shared", "people": people})
    told = await his.next("conversation.access")
    assert (told["right"], told["title"], told["by"]) == ("view", "Plan", "Alice")
    told = await hers.next("conversation.access")
    assert (told["right"], told["title"], told["by"]) == (None, None, None)
    assert (await hers.next("unsubscribed"))["conversationId"] == str(plan.pk)
    await boss.put(at(plan, "/sharing"), {"visibility": "workspace"})
    assert (await his.next("conversation.access"))["right"] == "write"
    assert (await hers.next("conversation.access"))["right"] == "view"
    await mine.ask({"type": "ping"}, "pong")
    assert not [frame for frame in mine.seen if frame["type"] == "conversation.access"], "hers did not change"


async def test_it_is_in_the_audit_and_the_feed(alice, bob):
    mine, his = [await Person(actor).log_in() for actor in (alice, bob)]
    plan = await made(alice, visibility="private")
    people = [{"userId": str(bob.user_id), "right": "view"}]
    await mine.put(at(plan, "/sharing"), {"visibility": "shared", "people": people})
    await mine.put(at(plan, "/sharing"), {"visibility": "shared", "people": people})  # nothing new
    events = await in_database(lambda: list(AuditEvent.objects.filter(action="visibility_changed")))
    assert [event.metadata["to"] for event in events] == [
        {"visibility": "shared", "sharedWith": [str(bob.user_id)], "viewOnly": [str(bob.user_id)]}
    ]
    feed = [
        one for one in (await his.get("/api/activities")).json()["items"] if one["activityType"] == "shared"
    ]
    assert [one["conversationId"] for one in feed] == [str(plan.pk)]
    await mine.put(at(plan, "/sharing"), {"visibility": "private"})
    feed = [
        one for one in (await his.get("/api/activities")).json()["items"] if one["activityType"] == "shared"
    ]
    assert [one.get("conversationId") for one in feed] == [None]
    assert await in_database(lambda: Activity.objects.filter(activity_type="shared").count()) == 1


async def test_it_keeps_the_rights_of_who_is_on_a_plain_list_already(alice, bob, vera):
    plan = await made(alice, visibility="private", shared_with=[bob.user_id])
    await in_database(ConversationShare.objects.filter(user_id=bob.user_id).update, right="view")
    await in_database(
        conversation_update,
        actor=alice,
        conversation_id=plan.pk,
        visibility="shared",
        shared_with=[bob.user_id, vera.user_id],
    )
    rights = await in_database(lambda: dict(plan.shares.values_list("user_id", "right")))
    assert rights == {bob.user_id: "view", vera.user_id: "write"}


async def test_it_finds_in_a_search_only_what_is_open_now(engine, alice, bob, plays):
    plays("The word is quasar.")
    mine, his = [await Person(actor).log_in() for actor in (alice, bob)]
    asked = await mine.ask("Tell me about pulsars", visibility="private")
    plan = asked["conversationId"]

    async def hits(who: Person) -> int:
        return len((await who.get("/api/search?q=quasar")).json()["items"])

    assert (await hits(mine), await hits(his)) == (1, 0)
    people = [{"userId": str(bob.user_id), "right": "view"}]
    for body, found in (
        ({"visibility": "shared", "people": people}, 1),
        ({"visibility": "private", "people": people}, 0),
        ({"visibility": "workspace"}, 1),
        ({"visibility": "shared", "people": []}, 0),
    ):
        await mine.put(f"/api/conversations/{plan}/sharing", body)
        assert (await hits(mine), await hits(his)) == (1, found), body
        page = await his.get("/history/?q=quasar")
        assert (plan in page.content.decode()) is bool(found)
    await mine.put(f"/api/conversations/{plan}/sharing", {"visibility": "workspace"})
    assert await hits(his) == 1
    await in_database(membership_remove, workspace=bob.workspace, user=bob.user)
    assert (await his.get("/api/search?q=quasar")).status_code == 403
