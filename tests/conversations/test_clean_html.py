"""The server's HTML of markdown is clean by its last step [S1], whatever the writer of HTML before it lets through."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest

from conversations import markdown
from conversations.markdown import ATTRIBUTES, TAGS, to_html, to_page_html
from tests.e2e.xss_vectors import VECTORS

Said = Callable[[str], None]
WAYS: dict[str, Callable[[str], str]] = {"_plain": to_html, "_page": to_page_html}
ADDRESS = re.compile(r"(https?|mailto):|[^:]*$", re.IGNORECASE)


class Looked(HTMLParser):
    """What is wrong with a piece of HTML: `faults`."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.links = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        allowed = ATTRIBUTES.get(tag, set()) | ({"rel"} if tag == "a" else set())
        if tag not in TAGS:
            self.faults.append(f"<{tag}>")
        self.faults += [f"<{tag} {name}={value!r}>" for name, value in given.items() if name not in allowed]
        if tag == "a" and "href" in given:
            self.links += 1
            if not ADDRESS.match(given["href"]):
                self.faults.append(f"a link to {given['href']!r}")
            if given.get("rel") != "noopener noreferrer nofollow":
                self.faults.append(f"a link with rel={given.get('rel')!r}")


def looked_at(html: str) -> Looked:
    page = Looked()
    page.feed(html)
    page.close()
    return page


@pytest.mark.parametrize("way", WAYS)
def test_nothing_gets_through_even_where_the_writer_lets_everything_through(
    way: str, monkeypatch: pytest.MonkeyPatch, told: Said
) -> None:
    def everything(text: str) -> Any:
        return text

    monkeypatch.setattr(markdown, way, everything)
    faults = {vector: found for vector in VECTORS if (found := looked_at(WAYS[way](vector)).faults)}
    assert faults == {}
    told(f"vectors as HTML, cleaned: {len(VECTORS)}")


TRIED = (
    "accesskey", "align", "alt", "autofocus", "background", "charset", "checked", "cite", "class", "color", "contenteditable",
    "data-display", "data-lang", "data-other", "data-src", "datetime", "dir", "disabled", "download", "draggable", "face",
    "for", "form", "formaction", "headers", "height", "hidden", "href", "hreflang", "id", "is", "itemprop", "lang", "name",
    "nonce", "onclick", "onerror", "part", "ping", "popover", "rel", "role", "size", "slot", "span", "src", "srcset", "start",
    "style", "summary", "tabindex", "target", "title", "type", "value", "width", "xlink:href", "xmlns", "aria-label", "aria-owns",
    "hx-get", "hx-on:click", "colspan", "rowspan", "scope", "char", "charoff", "bgcolor", "border", "valign", "compact", "reversed",
)  # fmt: skip
KEPT = {
    "a": {"href", "title", "rel"},
    "code": {"class"},
    "div": {"class", "tabindex"},
    "h3": {"class"},
    "input": {"type", "checked", "disabled"},
    "li": {"class"},
    "nexus-code-block": {"data-lang"},
    "nexus-image": {"data-src"},
    "nexus-math": {"data-display"},
    "ol": {"start"},
    "pre": {"tabindex"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
}
"""Written down here once more: what an element may say is decided on purpose, not by what a library thinks harmless."""
ABOUT = {"td": "<table><tr>{}</tr></table>", "th": "<table><tr>{}</tr></table>", "tr": "<table>{}</table>",
         "tbody": "<table>{}</table>", "thead": "<table>{}</table>"}  # fmt: skip


class Attributes(HTMLParser):
    """What the elements of one name say."""

    def __init__(self, tag: str) -> None:
        super().__init__()
        self.tag, self.there = tag, False
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == self.tag and dict(attrs).get("class") != "tw":
            self.there = True
            self.names |= {name for name, _ in attrs}


@pytest.mark.parametrize("tag", sorted(TAGS))
@pytest.mark.parametrize("way", WAYS)
def test_an_element_says_only_what_is_meant_to_be_said(
    way: str, tag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(markdown, way, lambda text: text)
    said = {name: "https://example.org" if name == "href" else "1" for name in TRIED}
    told = " ".join(f'{name}="{value}"' for name, value in said.items())
    element = f"<{tag} {told}>x</{tag}>"
    found = Attributes(tag)
    found.feed(WAYS[way](ABOUT.get(tag, "{}").format(element)))
    assert found.there, "the element itself is gone: nothing was looked at"
    assert found.names == KEPT.get(tag, set()), tag


@pytest.mark.parametrize("way", WAYS)
def test_nothing_gets_through_as_markdown(way: str) -> None:
    pages = [looked_at(WAYS[way](f"Before {vector}\n\n{vector}")) for vector in VECTORS]
    assert [page.faults for page in pages if page.faults] == []
    assert sum(page.links for page in pages) > 10, "there must be links, or nothing was looked at"


@pytest.mark.parametrize("address", ["intent://scan", "ms-settings:x", "tel:1", "blob:x", "JaVaScRiPt:1"])
def test_a_link_leads_to_the_web_or_to_mail(address: str) -> None:
    for way in WAYS.values():
        assert address not in way(f"[go]({address})")
        assert 'href="https://example.org"' in way("[go](https://example.org)")
