"""Markdown to HTML on the server, for pages and exports: mistune, then nh3 as the last step.

On a page the same elements stand as the browser makes of markdown (`static/nexus/markdown/`),
so that an answer looks alike before and after its modules took over. Nothing is loaded
from elsewhere: an image of another host becomes a link that is followed only by a click.
"""

from __future__ import annotations

import re
from re import Match
from typing import Any

import mistune
import nh3
from mistune.block_parser import BlockParser
from mistune.core import BlockState, InlineState
from mistune.inline_parser import InlineParser

TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "input", "li",
    "nexus-code-block", "nexus-image", "nexus-math", "ol", "p", "pre", "span", "strong", "sub", "sup", "table",
    "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES: dict[str, set[str]] = {
    "*": set(),  # not left out: then the library lets `lang` and `title` stand everywhere
    "a": {"href", "title"},
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

# `$x^2$` is a formula, `$5 and $6` is money: no space inside the signs, no digit or letter behind the last.
INLINE_MATH = r"\$(?![\s$])(?P<tex>(?:\\.|[^$\\\n])+?)(?<!\s)\$(?![\w$])"
INLINE_MATH_PAREN = r"\\\((?P<tex_in_paren>[^\n]+?)\\\)"
BLOCK_MATH = r"^ {0,3}(?:\$\$[ \t]*\n?(?P<tex_block>[^$]+?)\n?[ \t]*\$\$|\\\[\s*(?P<tex_in_square>[\s\S]+?)\s*\\\])[ \t]*(?=\n|$)"


class _Renderer(mistune.HTMLRenderer):
    def image(self, text: str, url: str, title: str | None = None) -> str:
        label = mistune.escape(text or url)
        return f'<a href="{mistune.escape(self.safe_url(url))}">{label}</a>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return f'<a href="{mistune.escape(self.safe_url(url))}">{text}</a>'

    def inline_math(self, text: str) -> str:
        return f"<code>{mistune.escape(text)}</code>"

    def block_math(self, text: str) -> str:
        return f"<pre><code>{mistune.escape(text)}</code></pre>\n"


class _PageRenderer(_Renderer):
    """With the elements that the browser's modules bring to life."""

    def image(self, text: str, url: str, title: str | None = None) -> str:
        source = mistune.escape(self.safe_url(url))
        return f'<nexus-image data-src="{source}">{mistune.escape(text or "image")}</nexus-image>'

    def heading(self, text: str, level: int, **attrs: Any) -> str:
        """Below the name of who answers, which is a heading of the second level."""
        tag = "h3" if level <= 3 else "h4"
        look = ' class="big"' if level <= 2 else ""
        return f"<{tag}{look}>{text}</{tag}>\n"

    def block_code(self, code: str, info: str | None = None) -> str:
        found = re.match(r"[\w+#.-]+", info or "")
        name = mistune.escape(found.group(0)) if found else ""
        body = f'<pre tabindex="0"><code>{mistune.escape(code)}</code></pre>'
        return f'<nexus-code-block data-lang="{name}">{body}</nexus-code-block>\n'

    def inline_math(self, text: str) -> str:
        return f"<nexus-math>{mistune.escape(text)}</nexus-math>"

    def block_math(self, text: str) -> str:
        return f'<nexus-math data-display="block">{mistune.escape(text)}</nexus-math>\n'


def _inline_math(inline: InlineParser, match: Match[str], state: InlineState) -> int:
    state.append_token({"type": "inline_math", "raw": match.group("tex")})
    return match.end()


def _paren_math(inline: InlineParser, match: Match[str], state: InlineState) -> int:
    state.append_token({"type": "inline_math", "raw": match.group("tex_in_paren")})
    return match.end()


def _block_math(block: BlockParser, match: Match[str], state: BlockState) -> int:
    text = match.group("tex_block") or match.group("tex_in_square") or ""
    state.append_token({"type": "block_math", "raw": text.strip()})
    return match.end() + 1


def _math(md: Any) -> None:
    md.inline.register("inline_math", INLINE_MATH, _inline_math, before="link")
    md.inline.register("paren_math", INLINE_MATH_PAREN, _paren_math, before="escape")
    md.block.register("block_math", BLOCK_MATH, _block_math, before="list")


def _table_cell(renderer: Any, text: str, align: str | None = None, head: bool = False) -> str:
    """Aligned by an attribute: a style would not pass the page's policy."""
    tag = "th" if head else "td"
    where = f' align="{align}"' if align else ""
    return f"  <{tag}{where}>{text}</{tag}>\n"


def _aligned(md: Any) -> None:
    md.renderer.register("table_cell", _table_cell)


_PLUGINS: list[Any] = ["table", _aligned, "strikethrough", "task_lists", "url", _math]
_plain = mistune.create_markdown(renderer=_Renderer(escape=True), plugins=_PLUGINS)
_page = mistune.create_markdown(renderer=_PageRenderer(escape=True), plugins=_PLUGINS)


def to_html(text: str) -> str:
    """Sanitised HTML of a markdown text, without anything that needs a script."""
    return _clean(str(_plain(text)))


def to_page_html(text: str) -> str:
    """Sanitised HTML of a markdown text, for a page whose modules know `nexus-code-block` and its like."""
    return _clean(str(_page(text)))


def _clean(html: str) -> str:
    html = html.replace("<table>", '<div class="tw" tabindex="0"><table>').replace(
        "</table>", "</table></div>"
    )
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
