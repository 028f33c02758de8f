"""Nothing that somebody wrote runs on a page or has it load from elsewhere [S1, S2], wherever it is shown.

Hundreds of vectors in every field that reaches a page; and through the streaming renderer, cut at every byte.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from .conftest import PASSWORD, Person
from .server import Server
from .xss_vectors import VECTORS

Said = Callable[[str], None]

SPY = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  // These are refused where the sanitiser reads the text into a document of its own, before it takes them away.
  if (!/^(style-src|base-uri)/.test(event.effectiveDirective)) window.__violations.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sample}`);
});
window.__sockets = [];
const Socket = window.WebSocket;
window.WebSocket = class extends Socket { constructor(...all) { super(...all); window.__sockets.push(this); } };
"""
FOUND = """() => {
  const bad = [];
  for (const element of document.querySelectorAll("*")) {
    const name = element.localName;
    if (["iframe", "object", "embed", "base", "frame", "portal", "applet"].includes(name)) bad.push(name);
    if (name === "meta" && element.httpEquiv && !/^content-type$/i.test(element.httpEquiv)) bad.push("meta " + element.httpEquiv);
    if (name === "script" && !element.nonce && !element.src && !/json/.test(element.type)) bad.push("script");
    for (const { name: attribute, value } of element.attributes) {
      if (attribute.startsWith("on")) bad.push(`${name} ${attribute}`);
      if (["href", "src", "action", "formaction", "xlink:href", "data", "srcset", "poster"].includes(attribute)
          && /^[\\s\\x00-\\x20]*(javascript|vbscript|data:text|blob):/i.test(value)) bad.push(`${name} ${attribute}=${value}`);
    }
  }
  return { ran: window.__xss ?? 0, bad, violations: window.__violations };
}"""
RENDER = """async ([vectors, step]) => {
  await customElements.whenDefined("nexus-response");
  const found = [];
  const host = document.querySelector("#main");
  const encoder = new TextEncoder();
  let drawn = 0;
  for (const [index, vector] of vectors.entries()) {
    const element = document.createElement("nexus-response");
    host.append(element);
    element.streaming = true;
    const bytes = encoder.encode(`Before ${vector}`);
    const decoder = new TextDecoder();
    let text = "";
    for (const [at, byte] of bytes.entries()) {
      text += decoder.decode(Uint8Array.of(byte), { stream: true });
      if (at % step && at < bytes.length - 1) continue;
      element.text = text;
      element.flush();
      drawn += 1;
    }
    element.streaming = false;
    element.text = `${text}\\n\\nAfter.`;
    element.flush();
    for (const link of element.querySelectorAll("a[href]")) {
      const href = link.getAttribute("href");
      if (!/^(https?:\\/\\/|mailto:|\\/(?![\\/\\\\])|#)/i.test(href)) found.push(`${vector}: ${href}`);
    }
    for (const one of element.querySelectorAll("*")) {
      if ([...one.attributes].some(({ name }) => name.startsWith("on") || name === "style" || name === "id" || name === "name")) found.push(`${vector}: ${one.outerHTML}`);
      if (["script", "style", "iframe", "object", "embed", "form", "base", "meta", "link", "img", "image", "video", "audio", "svg:script"].includes(one.localName)) found.push(`${vector}: ${one.localName}`);
    }
    if (index % 20 === 19) await new Promise(requestAnimationFrame);
    element.remove();
  }
  return { found, drawn };
}"""
ITEMS = """(vectors) => {
  const host = document.querySelector("#main");
  const now = Date.now();
  for (const [n, vector] of vectors.entries()) {
    const call = document.createElement("nexus-tool-call");
    host.append(call);
    const status = ["PENDING", "RUNNING", "COMPLETED", "FAILED", "UNKNOWN"][n % 5];
    call.item = { call: { toolId: "t", toolName: vector, input: { [vector]: vector }, result: { [vector]: [vector] }, error: vector, status }, startedAt: now, endedAt: now };
    call.progress = { message: vector, percentage: 1 };
    call.firstElementChild.open = true;
    call.item = { ...call.item };
    const reasoning = document.createElement("nexus-reasoning");
    host.append(reasoning);
    reasoning.item = { text: vector, startedAt: now, endedAt: n % 2 ? null : now };
  }
}"""
FRAMES = """(vectors) => {
  const state = JSON.parse(document.getElementById("nexus-state").textContent);
  const tell = (frame) => { for (const socket of window.__sockets) socket.onmessage?.({ data: JSON.stringify(frame) }); };
  const at = new Date().toISOString();
  const id = state.conversation?.id ?? crypto.randomUUID();
  let told = 0;
  for (const [n, vector] of vectors.entries()) {
    const mine = crypto.randomUUID();
    const frames = [
      { type: "activity.recorded", id: mine, activityType: n % 2 ? vector : "asked", userId: vector, userName: vector, agentId: vector, metadata: { agentId: vector, text: vector, userName: vector, conversationId: vector, message: vector, name: vector }, createdAt: at },
      { type: "conversation.updated", conversation: { ...(state.conversation ?? {}), id: n % 3 ? mine : id, title: vector, status: "active", visibility: "workspace", agentId: vector, model: vector, messageCount: 1, live: n % 4 ? null : "running", createdAt: at, updatedAt: at, lastActiveAt: at } },
      { type: "message.created", conversationId: id, message: { id: mine, conversationId: id, parentId: null, number: 1000 + n, role: n % 2 ? "user" : "assistant", content: vector, parts: [{ type: "text", text: vector }, { type: "reasoning", text: vector }, { type: "tool_call", toolId: mine, toolName: vector, input: { x: vector }, result: vector, error: vector, status: "FAILED" }, { type: "image", fileId: vector, name: vector }, { type: "file", fileId: vector, name: vector }], author: { id: vector, name: vector }, agentId: vector, createdAt: at, kinds: [vector] } },
      { type: "cursor.moved", conversationId: id, userId: vector, name: vector, typing: true, selection: { start: 0, end: 1, filePath: vector } },
      { type: "error", code: vector, message: vector },
      { type: "run.ended", runId: mine, conversationId: id, workspaceId: state.workspace.id, agentId: vector, status: "complete", durationMs: 9e6 },
      { type: "budget.warning", message: vector, name: vector },
      { type: vector, message: vector },
    ];
    for (const frame of frames) { told += 1; try { tell(frame); } catch (fault) { window.__faults = [...(window.__faults ?? []), String(fault)]; } }
  }
  tell({ type: "presence.changed", users: vectors.map((vector, n) => ({ userId: vector, name: vector, kind: n % 2 ? "agent" : "person", activity: n % 3 ? "typing" : vector, conversationId: id, since: at, icon: vector, selection: { start: 0, end: 1, filePath: vector } })) });
  return told + 1;
}"""
FILL = """
import json, sys, uuid
from django.utils import timezone
from agents.models import Agent
from conversations.models import Conversation, Message, MessageFeedback, Run, Task, ToolCall, Upload
from conversations.services.run_start import run_start
from conversations.services.run_finish import run_end_unstarted
from realtime.models import Activity
from workspaces.access import actor_for
from workspaces.audit import record
from workspaces.models import ApiToken, Role, User, Workspace
from workspaces.services import membership_set
from workspaces.tokens import token_create
vectors = json.load(sys.stdin)
mallory = User.objects.get(username="mallory")
workspace = Workspace.objects.get(slug="hostile")
actor = actor_for(mallory, "hostile")
started = run_start(actor=actor, agent_id="demo-agent", input_="x")
run_end_unstarted(started.run.pk, status="failed", error_code="x", error_message=vectors[0])
Workspace.objects.filter(pk=workspace.pk).update(name=vectors[0])
User.objects.filter(pk=mallory.pk).update(name=vectors[1], title=vectors[2], about=vectors[3], is_staff=True, is_superuser=True)
for n, vector in enumerate(vectors[:40]):
    person = User.objects.create(username=f"h{n}", name=vector, email=f"h{n}@example.org", title=vector[:100], about=vector)
    membership_set(workspace=workspace, user=person, role=Role.VIEWER)
Agent.objects.filter(workspace=workspace).exclude(slug="demo-agent").delete()
for n, vector in enumerate(vectors[40:90]):
    Agent.objects.create(workspace=workspace, slug=f"a{n}", name=vector, description=vector, icon=vector[:16], provider="scripted", model=vector, system_prompt=vector, starters=[vector, {"title": vector, "text": vector}] if n % 2 else [vector])
now = timezone.now()
for n, vector in enumerate(vectors):
    Conversation.objects.create(workspace=workspace, created_by=mallory, title=vector[:200], agent_slug="demo-agent" if n % 2 else vector[:64], model=vector[:100], created_at=now, updated_at=now, last_active_at=now)
    Activity.objects.create(workspace=workspace, user=mallory, activity_type=vector[:64] if n % 2 else "asked", agent_slug=vector[:64], metadata={"agentId": vector, "text": vector, "userName": vector, "conversationId": vector})
    record("agent_changed" if n % 2 else "visibility_changed", actor=actor, target_type=vector, target_name=vector, agent_slug=vector[:64], metadata={vector: vector, "status": vector})
for n, vector in enumerate(vectors[:60]):
    token_create(user=mallory, workspace=workspace, name=vector[:100])
    Upload.objects.create(workspace=workspace, user=mallory, conversation=started.conversation, name=vector[:200], media_type="image/png", size=1, sha256="0", path=vector[:200])
    Task.objects.create(workspace=workspace, created_by=mallory, title=vector[:200], detail=vector)
pages = []
for part in range(4):
    conversation = Conversation.objects.create(workspace=workspace, created_by=mallory, title=vectors[part][:200], agent_slug="demo-agent", created_at=now, updated_at=now, last_active_at=now)
    parent, number = None, 0
    for n, vector in enumerate(vectors[part::4]):
        for role in ("user", "assistant"):
            number += 1
            parts = [{"type": "text", "text": vector}]
            if role == "assistant":
                call = {"type": "tool_call", "toolId": str(uuid.uuid4()), "toolName": vector, "input": {vector: vector}, "result": {vector: vector}, "error": vector, "status": ("COMPLETED", "FAILED", "UNKNOWN")[n % 3]}
                parts = [{"type": "reasoning", "text": vector, "durationMs": 1}, call, *parts]
            parent = Message.objects.create(conversation=conversation, parent=parent, number=number, role=role, content=vector, parts=parts, author=mallory if role == "user" else None)
            if role == "assistant":
                MessageFeedback.objects.create(message=parent, user=mallory, rating="poor", comment=vector)
    Conversation.objects.filter(pk=conversation.pk).update(message_count=number)
    pages.append(str(conversation.pk))
print("PAGES " + json.dumps(pages))
"""
PLACES = (
    "/",
    "/history/",
    "/history/?from=100",
    "/history/?q=script",
    "/audit/",
    "/audit/?q=%3Cscript%3Etop.__xss=1%3C/script%3E",
    "/usage/?range=all",
    "/members/",
    "/settings/",
    "/admin/agents/agent/",
    "/admin/conversations/message/",
    "/admin/conversations/toolcall/",
    "/admin/realtime/activity/",
    "/admin/workspaces/user/?q=%22%3E%3Cscript%3Etop.__xss=1%3C/script%3E",
    "/admin/workspaces/auditevent/",
    "/admin/workspaces/apitoken/",
    "/join/%22%3E%3Cscript%3Etop.__xss=1%3C%2Fscript%3E/",
    "/accounts/login/?next=javascript:top.__xss=1",
)


class Watched:
    """Mallory's browser: what ran, asked elsewhere or was stopped by the policy."""

    def __init__(self, person: Person) -> None:
        self.person, self.page, self.url = person, person.page, person.server.url
        self.dialogs: list[str] = []
        self.page.add_init_script(SPY)
        self.page.on("dialog", self._dialog)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def check(self, where: str) -> None:
        found = self.page.evaluate(FOUND)
        assert (found["ran"], self.dialogs) == (0, []), f"{where}: something ran"
        assert found["bad"] == [], where
        assert sorted({one.split()[0] for one in found["violations"]}) == [], (
            f"{where}: only the policy stopped it"
        )
        assert self.person.elsewhere == [], f"{where}: asked elsewhere"


@pytest.fixture(scope="module")
def mallory(browser: Browser, server: Server) -> Iterator[Watched]:
    server.manage(
        "create_user", "mallory", "--password", PASSWORD, "--workspace", "hostile", "--role", "owner"
    )
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(60_000)
    person = Person(context, server, "mallory")
    watched = Watched(person)
    person.log_in()
    yield watched
    context.close()


def settled(page: Page) -> None:
    """Two frames later: what was scheduled is drawn, and loads that it asked for have begun."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done, 50))))"
    )


def test_it_draws_answers_cut_at_every_byte(mallory: Watched, told: Said) -> None:
    page = mallory.page
    result = page.evaluate(RENDER, [VECTORS, 1])
    assert result["found"] == []
    page.evaluate(ITEMS, VECTORS)
    settled(page)
    mallory.check("the elements")
    told(f"vectors: {len(VECTORS)}; answers drawn, cut at every byte: {result['drawn']}")
    assert len(VECTORS) >= 200


def test_it_shows_frames_of_anything(mallory: Watched, told: Said) -> None:
    page = mallory.page
    page.goto(mallory.url + "/")
    count = page.evaluate(FRAMES, VECTORS)
    settled(page)
    mallory.check("frames at home")
    told(f"hostile frames: {count}")


def test_it_shows_every_page_of_a_hostile_workspace(mallory: Watched, server: Server, told: Said) -> None:
    out = server.manage("shell", "--no-imports", "-c", FILL, stdin=json.dumps(VECTORS))
    conversations = json.loads(next(line for line in out.splitlines() if line.startswith("PAGES "))[6:])
    page = mallory.page
    places = [*(f"/c/{one}/" for one in conversations), *PLACES]
    for place in places:
        page.goto(mallory.url + place)
        settled(page)
        mallory.check(place)
        if place == f"/c/{conversations[0]}/":
            page.evaluate(FRAMES, VECTORS)
            settled(page)
            mallory.check("frames in a conversation")
    told(f"pages of a hostile workspace: {len(places)}")
