"""Exports: everything as JSON, the newest branch as Markdown and as HTML that runs nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from conversations.database import in_database
from conversations.models import Conversation, Message
from conversations.services.conversations import conversation_update
from conversations.services.run_continue import INSTRUCTION
from conversations.services.run_resume import run_resume
from conversations.services.run_start import run_start
from nexus_core.errors import ProviderUnavailable
from nexus_core.messages import TextPart, ToolCallPart
from nexus_core.providers.base import ReasoningDelta, Stop, TextDelta
from nexus_core.tools import tool

from .api_client import Person, error_of
from .conftest import chunks_of
from .test_api_files import PNG, media, send

pytestmark = pytest.mark.django_db(transaction=True)
_ = media  # the fixture: files of these tests go into a folder of their own

EVIL = (
    "<script>alert(1)</script> <img src=x onerror=alert(1)> [go](javascript:alert(1)) "
    "![pixel](https://evil.example/p.png) <iframe src=//evil.example></iframe>\n\n```html\n<b>code</b>\n```"
)


@tool
async def lookup(word: str) -> str:
    """Looks a word up."""
    return f"</code></pre><script>{word}</script>"


class Page(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


async def conversation(alice, plays) -> tuple[Person, str]:
    call = Stop("tool_calls", (ToolCallPart("c1", "lookup", {"word": "</script>"}),), None)
    plays(
        [ReasoningDelta("<b>hm</b>"), call],
        [TextDelta(EVIL), Stop("end", (TextPart(EVIL),), None)],
        "Other.",
        tools=[lookup],
    )
    person = await Person(alice).log_in()
    file = (await send(person, 'a"b.png', PNG)).json()
    done = await person.ask(
        [{"type": "text", "text": "Question <one>"}, {"type": "image", "fileId": file["fileId"]}]
    )
    await in_database(
        conversation_update, actor=alice, conversation_id=done["conversationId"], title="Pläne <script>/\\: 1"
    )
    return person, done["conversationId"]


async def test_it_exports_everything_as_json(engine, alice, plays):
    person, conversation_id = await conversation(alice, plays)
    first = await in_database(Message.objects.get, conversation_id=conversation_id, role="assistant")
    await person.ask("", regenerateMessageId=str(first.pk), conversationId=conversation_id)
    response = await person.get(f"/api/conversations/{conversation_id}/export?format=json")
    assert response["Content-Disposition"].startswith("attachment; ")
    out = json.loads(response.content)
    assert (out["format"], out["version"]) == ("nexus.conversation", 2)
    assert [message["role"] for message in out["messages"]] == ["user", "assistant", "assistant"], (
        "both branches"
    )
    assert {message["parentId"] for message in out["messages"][1:]} == {out["messages"][0]["id"]}
    assert out["messages"][1]["content"] == EVIL and len(out["runs"]) == 2
    assert "token" not in json.dumps(out["conversation"]).lower()


async def test_it_exports_the_newest_branch_as_markdown(engine, alice, plays):
    person, conversation_id = await conversation(alice, plays)
    response = await person.get(f"/api/conversations/{conversation_id}/export?format=md")
    text = response.content.decode()
    assert text.startswith("# Pläne \\<script\\>/\\\\: 1\n")
    assert "Question <one>" in text and EVIL in text and "**Tool: lookup** (COMPLETED)" in text
    assert "> <b>hm</b>" in text and '"word": "</script>"' in text
    assert "filename*=UTF-8''Pl%C3%A4ne%20script%201.md" in response["Content-Disposition"]
    assert re.search(r'filename="Pl_ne script 1\.md"', response["Content-Disposition"])
    first = await in_database(Message.objects.get, conversation_id=conversation_id, role="assistant")
    await person.ask("", regenerateMessageId=str(first.pk), conversationId=conversation_id)
    newest = (await person.get(f"/api/conversations/{conversation_id}/export?format=md")).content.decode()
    assert "Other." in newest and EVIL not in newest


async def test_it_exports_html_that_stands_alone_and_runs_nothing(engine, alice, plays):
    person, conversation_id = await conversation(alice, plays)
    response = await person.get(f"/api/conversations/{conversation_id}/export?format=html")
    assert (
        "sandbox" in response["Content-Security-Policy"] and response["X-Content-Type-Options"] == "nosniff"
    )
    page = Page(response.content.decode())
    tags = {tag for tag, _ in page.found}
    assert not tags & {"script", "iframe", "object", "embed", "link", "form", "svg"}
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href"):
            value = attributes.get(name) or ""
            assert not value.startswith(("javascript:", "data:text")), (tag, value)
            if tag == "img":
                assert attributes["src"].startswith("data:image/png;base64,")
    assert any(tag == "img" for tag, _ in page.found), "the image is inside"
    policy = next(a["content"] for t, a in page.found if t == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "Question &lt;one&gt;" in response.content.decode()


async def test_it_exports_a_continued_answer_in_one_piece(engine, alice, plays):
    plays(
        [TextDelta("The first half"), Stop("length", (), None)],
        [TextDelta(" and <the> second."), Stop("end", (), None)],
        "Thanks too.",
    )
    person = await Person(alice).log_in()
    done = await person.ask("Tell me all")
    begun = await person.post(f"/api/messages/{done['message']['id']}/continue")
    await chunks_of(begun.json()["runId"])
    await person.ask("Thanks", conversationId=done["conversationId"])
    path = f"/api/conversations/{done['conversationId']}/export?format="
    markdown = (await person.get(path + "md")).content.decode()
    assert INSTRUCTION not in markdown and markdown.count("\n## ") == 4
    cut = f"*Cut by its length, continued by {alice.user.display_name}*"
    assert f"The first half\n\n{cut}\n\n and <the> second.\n\n## {alice.user.display_name}" in markdown
    html = (await person.get(path + "html")).content.decode()
    assert INSTRUCTION not in html and html.count("<article") == 4
    note = f'<p class="cut">Cut by its length, continued by {alice.user.display_name}</p>'
    assert html.index("The first half") < html.index(note) < html.index("and &lt;the&gt; second.")
    messages = json.loads((await person.get(path + "json")).content)["messages"]
    assert [m["content"] for m in messages if m["continues"]] == [INSTRUCTION]
    assert [m["continues"] for m in messages] == [None, None, done["message"]["id"], None, None, None]


async def test_it_exports_what_the_screen_shows_at_a_fork(engine, alice, plays):
    plays([TextDelta("Half"), ProviderUnavailable("gone")], "Later.", "Whole.")
    person = await Person(alice).log_in()
    first = await in_database(run_start, actor=alice, agent_id="demo-agent", input_="One")
    await chunks_of(first.run.pk)
    more = {"conversationId": str(first.conversation.pk), "parentMessageId": str(first.message.pk)}
    await person.ask("Two", **more)
    again = await in_database(run_resume, actor=alice, run_id=first.run.pk)
    await chunks_of(again.run.pk)
    path = f"/api/conversations/{first.conversation.pk}"
    thread = (await person.get(f"{path}/thread")).json()
    said = {message["id"]: message["content"] for message in thread["messages"]}
    markdown = (await person.get(f"{path}/export?format=md")).content.decode()
    places = [markdown.index(f"\n{said[message_id]}\n") for message_id in thread["line"]]
    assert len(places) == 4 and places == sorted(places)


async def test_it_exports_an_empty_conversation_and_refuses_others(alice, bob, charlie):
    person = await Person(alice).log_in()
    one = (await person.post("/api/conversations", {"visibility": "private"})).json()
    for format in ("json", "md", "html"):
        assert (await person.get(f"/api/conversations/{one['id']}/export?format={format}")).status_code == 200
        for other in (bob, charlie):
            stranger = await Person(other).log_in()
            refused = await stranger.get(f"/api/conversations/{one['id']}/export?format={format}")
            assert error_of(refused) == (404, "not_found")
    assert error_of(await person.get(f"/api/conversations/{one['id']}/export?format=exe")) == (
        422,
        "invalid_request",
    )
    assert await in_database(Conversation.objects.count) == 1
