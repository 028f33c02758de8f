"""The sanitiser of the browser side is the last step [S1], by itself: on a page without any policy, without a server.

Elsewhere (`test_xss.py`) the policy and the elements stand behind it. Here it is alone, and gets the vectors as
answers, as HTML that the reader of markdown made of a text, as coloured code and as formulas.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page

from scripts.assets import find_node
from scripts.terminal import ROOT

from .xss_vectors import VECTORS, E, J

Said = Callable[[str], None]
BUNDLE = """
import { buildSync } from "esbuild";
const contents = 'export * from "./html.js"; export { lex } from "./grammar.js";';
const made = buildSync({ stdin: { contents, resolveDir: "static/nexus/markdown" }, bundle: true, format: "iife", globalName: "made", write: false });
process.stdout.write(made.outputFiles[0].text);
"""
MORE = [
    "<p class='btn primary'>x</p><span class='big md'>x</span>",
    "<input type=password value=x><input type=checkbox><input>",
    *(f"<nexus-image data-src='{address}'>x</nexus-image>" for address in (
        "//evil.example/x", "/api/files/../../accounts/logout/", "ftp://evil.example/x", "data:image/png;base64,x",
        "/accounts/logout/", "/api/files/a?b", "x",
    )),
    *(f"<a href='{address}'>x</a>" for address in (
        "//evil.example", "/\\evil.example", "\\\\evil.example", "tel:1", "ftp://evil.example", "x", "streamdown:x",
        "https://example.org", "/c/1/", "#x", "mailto:a@example.org",
    )),
    f"<math><mi href='{E}' style='color:red' class=btn id=main onclick='{J}'>x</mi></math>",
    f"<math><annotation-xml encoding='text/html'><img src=x onerror='{J}'></annotation-xml></math>",
    f"<span data-c=key class=btn onclick='{J}' style='color:red' id=main>x</span><b>x</b><a href='{E}'>x</a>",
]  # fmt: skip
DRAW = r"""(vectors) => {
  const faults = [];
  let looked = 0;
  const tags = new Set(("a abbr b blockquote br code del details div em h1 h2 h3 h4 h5 h6 hr i input ins kbd li mark nexus-code-block "
    + "nexus-image nexus-math ol p pre q s small span strong sub summary sup table tbody td th thead tr u ul").split(" "));
  const names = new Set("align checked class colspan data-display data-lang data-src disabled href rel rowspan start tabindex target title type".split(" "));
  // A form's own is hidden by a field of that name, which is one of the vectors.
  const attributes = Object.getOwnPropertyDescriptor(Element.prototype, "attributes").get;
  const answer = function* (one) {
    const href = one.getAttribute("href");
    const source = one.getAttribute("data-src");
    if (!tags.has(one.localName)) yield "the element";
    for (const { name } of attributes.call(one)) if (!names.has(name)) yield name;
    if ([...one.classList].some((name) => name !== "big" && name !== "tw")) yield "a class of the page";
    if (one.localName === "input" && (one.getAttribute("type") !== "checkbox" || !one.hasAttribute("disabled"))) yield "a field";
    if (href !== null && !/^(https?:\/\/|mailto:|#|\/(?![/\\]))/i.test(href)) yield "an address";
    if (href !== null && one.getAttribute("rel") !== "noopener noreferrer nofollow") yield "a link that tells where from";
    if (href !== null && /^https?:/i.test(href) && one.getAttribute("target") !== "_blank") yield "a link that leaves this page";
    if (source !== null && !/^(https?:\/\/|\/api\/files\/[\w-]+$)/i.test(source)) yield "an image's address";
  };
  const code = function* (one) {
    if (one.localName !== "span") yield "the element";
    for (const { name } of attributes.call(one)) if (name !== "data-c") yield name;
  };
  const formula = function* (one) {
    if (one.namespaceURI !== "http://www.w3.org/1998/Math/MathML") yield "the element";
    for (const { name } of attributes.call(one)) if (/^(on|xlink)|^(href|style|class|id|src)$/.test(name)) yield name;
  };
  const ways = {
    answer: [(text) => made.toFragment(made.lex(`Before ${text}\n\n${text}`)), answer],
    "what the reader made of it": [(text) => made.toFragment([{ type: "html", block: true, raw: text, text }]), answer],
    code: [made.highlighted, code],
    formula: [made.mathMarkup, formula],
  };
  for (const vector of vectors) {
    for (const [way, [make, rules]] of Object.entries(ways)) {
      const fragment = make(vector);
      for (const one of fragment.querySelectorAll("*")) {
        looked += 1;
        for (const fault of rules(one)) faults.push(`${way} of ${vector}: ${fault} in ${one.cloneNode().outerHTML}`);
      }
      document.body.append(fragment);
    }
  }
  return { faults, looked };
}"""


@pytest.fixture(scope="module")
def bundle() -> str:
    """The sanitiser and the reader of markdown, as one script."""
    node = find_node()
    assert node is not None, "no Node.js"
    made = subprocess.run(
        [node.program, "--input-type=module", "-e", BUNDLE], cwd=ROOT, capture_output=True, text=True, timeout=60
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    return f"() => {{ {made.stdout}; globalThis.made = made; }}"


@pytest.fixture
def alone(browser: Browser, bundle: str) -> Iterator[tuple[Page, list[str]]]:
    """An empty page with the sanitiser, and what it asked of others."""
    page = browser.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.context.route("**/*", lambda route: route.abort())
    page.evaluate(bundle)
    yield page, asked
    page.context.close()


def test_nothing_gets_past_the_sanitiser_alone(alone: tuple[Page, list[str]], told: Said) -> None:
    page, asked = alone
    result: dict[str, Any] = page.evaluate(DRAW, [*VECTORS, *MORE])
    page.evaluate("() => new Promise((done) => setTimeout(done, 100))")  # for what must not come
    assert result["faults"] == []
    assert page.evaluate("() => globalThis.__xss ?? 0") == 0, "something ran"
    assert asked == [], "something was asked elsewhere"
    told(f"sanitiser alone: {len(VECTORS) + len(MORE)} vectors, {result['looked']} elements looked at")
    assert result["looked"] > 500


@pytest.mark.parametrize("way", ["highlighted('<img src=x>')", "toFragment(made.lex('<img src=x>'))"])
def test_nothing_is_drawn_where_it_cannot_sanitise(alone: tuple[Page, list[str]], way: str) -> None:
    page, _ = alone
    page.evaluate("() => { DOMImplementation.prototype.createHTMLDocument = undefined; }")
    with pytest.raises(Error, match="cannot clean"):
        page.evaluate(f"() => typeof made.{way}")


def test_what_takes_the_place_of_the_page_leaves_an_empty_answer(alone: tuple[Page, list[str]]) -> None:
    page, _ = alone
    drawn = "() => made.toFragment(made.lex('<frameset><frame src=x></frameset>')).childNodes.length"
    assert page.evaluate(drawn) == 0
