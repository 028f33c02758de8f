"""The feed beside a conversation: what agents and people did, read back part by part."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import expect

from .conftest import live
from .server import Server
from .test_chat import finished, start_with
from .test_looks import SIZES, broken_rules

SAY = """([count, word]) => new Promise((done) => {
  const socket = new WebSocket(location.origin.replace("http", "ws") + "/ws/", ["nexus.v1"]);
  socket.onopen = () => {
    for (let n = 0; n < count; n += 1) socket.send(JSON.stringify({type: "activity.broadcast", activityType: `${word}-${n}`, metadata: {}}));
    socket.send(JSON.stringify({type: "ping", id: "all"}));
  };
  socket.onmessage = ({data}) => JSON.parse(data).id === "all" && (socket.close(), done());
})"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_read_back_part_by_part(server: Server, people, shots: Path, scheme: str) -> None:
    alice = people["alice"]
    page = alice.page
    page.emulate_media(color_scheme=scheme)
    page.evaluate(SAY, [70, scheme])  # the server is the same for both: each counts its own
    start_with(page, "demo-agent")
    alice.ask("Show me token usage statistics")
    page.wait_for_url(re.compile(r"/c/"))
    finished(page)
    page.reload()
    live(page)
    feed = page.locator("#rail nexus-activity-feed")
    # Not the newest line: who looked at the last test is said to have left at any moment.
    expect(feed.locator(".fd", has_text="Demo Agent finished").first).to_be_visible()
    expect(feed.locator(".fd", has_text="Demo Agent ran get_token_usage").first).to_be_visible()
    expect(feed.locator(".fd")).to_have_count(12)
    page.screenshot(path=shots / f"feed-wide-{scheme}.png")
    earlier = feed.get_by_role("button", name="Earlier")
    while not feed.locator(".fd span", has_text=re.compile(rf"{scheme} 3$")).count():
        shown = feed.locator(".fd").count()
        earlier.click()
        expect(feed.locator(".fd").nth(shown)).to_be_attached()
    texts = [text for text in feed.locator(".fd span:not(.av)").all_inner_texts() if f" {scheme} " in text]
    assert len(texts) == len(set(texts)) >= 67
    page.set_viewport_size({"width": SIZES["phone"][0], "height": SIZES["phone"][1]})
    page.get_by_role("button", name="People, run and activity").click()
    page.locator("dialog nexus-activity-feed, #rail nexus-activity-feed").last.scroll_into_view_if_needed()
    page.screenshot(path=shots / f"feed-phone-{scheme}.png")
    assert broken_rules(page) == []
