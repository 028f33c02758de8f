"""Two people in two browsers: a conversation is shared, watched, closed; shown by a link; exported and taken back."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, expect

from .conftest import PATIENCE_MS, live
from .test_chat import finished, start_with
from .test_looks import SIZES, broken_rules


def asked(people, text: str) -> tuple[Page, str]:
    """A conversation of Alice's with an answer; her page and its id."""
    alice = people["alice"]
    page: Page = alice.page
    start_with(page, "demo-agent")
    alice.ask(text)
    page.wait_for_url(re.compile(r"/c/"))
    finished(page)
    return page, page.url.split("/c/")[1].strip("/")


def share(page: Page) -> Locator:
    page.click("[data-share]")
    dialog = page.locator("dialog.share")
    expect(dialog).to_be_visible()
    return dialog


def test_it_is_shared_with_somebody_seen_live_and_closed(people, server, shots):
    bob = people["bob"].page
    bob.goto(server.url + "/")
    live(bob)
    page, conversation = asked(people, "Show me token usage statistics")
    row = bob.locator(f'#nav a[href="/c/{conversation}/"]')
    expect(row).to_be_visible()
    dialog = share(page)
    expect(dialog.locator(".sentence")).to_contain_text("Everyone in Team")
    dialog.get_by_role("radio", name=re.compile("Private")).check()
    expect(dialog.locator(".sentence")).to_have_text("Only you can see this.")
    expect(row).to_have_count(0)

    dialog.get_by_role("radio", name=re.compile("Named people")).check()
    dialog.get_by_label("Add somebody").select_option(label="bob")
    expect(dialog.locator(".sentence")).to_have_text("You and bob can see this.")
    expect(bob.get_by_text("alice shared a conversation with you")).to_be_visible()
    expect(row).to_be_visible()
    bob.get_by_role("button", name="Open", exact=True).click()
    expect(bob).to_have_url(re.compile(conversation))
    live(bob)
    box = bob.locator("nexus-prompt-input textarea")
    expect(box).to_be_enabled()
    dialog.get_by_label("What bob may do").select_option("view")
    expect(box).to_be_disabled()
    expect(box).to_have_attribute("placeholder", "This conversation is shared with you to read.")
    bob.reload()
    expect(box).to_be_disabled()
    live(bob)
    seen = share(bob)
    expect(seen.locator(".sentence")).to_have_text("You and alice can see this.")
    expect(seen.get_by_role("radio")).to_have_count(0)
    bob.keyboard.press("Escape")
    expect(bob.locator("[data-share]")).to_be_focused()

    dialog.get_by_label("Take bob off the list").click()
    expect(bob.get_by_text("Not open to you any more")).to_be_visible()
    expect(bob).to_have_url(server.url + "/")
    answer = bob.goto(f"{server.url}/c/{conversation}/")
    assert answer is not None
    assert answer.status == 404
    assert people["alice"].errors == []


def test_it_is_shown_by_a_link_without_an_account_until_that_is_revoked(
    people, browser: Browser, server, shots
):
    page, conversation = asked(people, "Show me token usage statistics")
    dialog = share(page)
    dialog.get_by_label("How long it works").select_option("1")
    dialog.get_by_role("button", name="Make link").click()
    field = dialog.get_by_label("The new link")
    expect(field).to_be_visible()
    link = field.input_value()
    assert re.fullmatch(re.escape(server.url) + r"/s/[\w-]{43}/", link)

    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(PATIENCE_MS)
    outside = context.new_page()
    loaded: list[str] = []
    outside.on("request", lambda request: loaded.append(request.url))
    answer = outside.goto(link)
    assert answer is not None
    assert answer.status == 200
    expect(outside.locator("article.person")).to_contain_text("Show me token usage statistics")
    text = outside.locator("body").inner_text()
    assert "alice" not in text
    assert conversation not in outside.content()
    assert context.cookies() == []
    assert [url for url in loaded if not url.startswith(server.url)] == []
    assert [url for url in loaded if url.endswith(".js")] == []
    for scheme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            outside.emulate_media(color_scheme=scheme)
            outside.set_viewport_size({"width": width, "height": height})
            assert broken_rules(outside) == []
            assert outside.evaluate("document.documentElement.scrollWidth <= innerWidth")
            outside.screenshot(path=str(shots / f"shared-{size}-{scheme}.png"))

    page.keyboard.press("Escape")
    page.goto(server.url + "/settings/#links")
    row = page.locator("[data-links] li").first
    expect(row).to_contain_text("opened 1 time")
    row.get_by_role("button", name=re.compile("Revoke")).click()
    page.locator("dialog.ask").get_by_role("button", name="Revoke").click()
    expect(page.locator("[data-links] li")).to_have_count(0)
    answer = outside.goto(link)
    assert answer is not None
    assert answer.status == 404
    expect(outside.locator("h1")).to_have_text("Nothing to see here")
    assert broken_rules(outside) == []
    context.close()


def test_an_export_is_taken_back_by_the_other(people, server, shots, tmp_path: Path):
    page, conversation = asked(people, "Show me token usage statistics")
    page.click("[data-conversation-menu] summary")
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Export as JSON").click()
    file = tmp_path / "talk.json"
    download.value.save_as(file)
    bob = people["bob"].page
    bob.goto(server.url + "/history/")
    live(bob)
    bob.click("[data-import]")
    dialog = bob.locator("dialog.import")
    (tmp_path / "odd.json").write_text('{"format": "nexus.conversation",\n oops')
    dialog.locator("input[type=file]").set_input_files(tmp_path / "odd.json")
    expect(dialog.locator(".places")).to_contain_text("line 2")
    dialog.locator("input[type=file]").set_input_files(file)
    expect(dialog.locator("dl")).to_contain_text("2, 1 answer")
    assert broken_rules(bob) == []
    bob.screenshot(path=str(shots / "import-wide-light.png"))
    dialog.get_by_role("button", name="Import", exact=True).click()
    bob.wait_for_url(re.compile(r"/c/"))
    assert conversation not in bob.url
    expect(bob.locator('nexus-message[from="user"]')).to_contain_text("alice")
    expect(bob.locator("nexus-tool-call").first).to_be_visible()
    bob.goto(server.url + "/history/")
    live(bob)
    bob.click("[data-import]")
    dialog.locator("input[type=file]").set_input_files(file)
    expect(dialog.get_by_text("You imported this file before.")).to_be_visible()
    expect(dialog.get_by_role("button", name="Import a copy")).to_be_focused()
    [refused] = people["bob"].errors
    assert "422" in refused, (
        "Chromium writes every refusal to its console; this one is the server's for the odd file"
    )


def test_the_dialog_is_clean_and_fits(people, server, shots):
    page, _conversation = asked(people, "Show me token usage statistics")
    dialog = share(page)
    dialog.get_by_role("radio", name=re.compile("Named people")).check()
    dialog.get_by_label("Add somebody").select_option(label="bob")
    expect(dialog.locator(".sentence")).to_contain_text("bob")
    dialog.get_by_role("button", name="Make link").click()
    expect(dialog.get_by_label("The new link")).to_be_visible()
    for scheme in ("light", "dark"):
        for size, (width, height) in SIZES.items():
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": height})
            assert broken_rules(page) == [], (scheme, size)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), size
            page.screenshot(path=str(shots / f"share-{size}-{scheme}.png"))
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    expect(page.locator("[data-share]")).to_be_focused()
