"""Markdown to HTML on the server, for pages and exports: mistune, then nh3 as the last step.

Nothing is loaded from elsewhere: an image of another host becomes a link.
"""

from __future__ import annotations

import mistune
import nh3

TAGS = {
    "a", "blockquote", "br", "code", "del", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "input", "li",
    "ol", "p", "pre", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
ATTRIBUTES = {
    "a": {"href", "title"},
    "code": {"class"},
    "div": {"class", "tabindex"},
    "input": {"type", "checked", "disabled"},
    "li": {"class"},
    "ol": {"start"},
    "span": {"class"},
    "td": {"align"},
    "th": {"align"},
}
CLASSES_OF_DIVS = {"tw"}


class _Renderer(mistune.HTMLRenderer):
    def image(self, text: str, url: str, title: str | None = None) -> str:
        label = mistune.escape(text or url)
        return f'<a href="{mistune.escape(self.safe_url(url))}">{label}</a>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return f'<a href="{mistune.escape(self.safe_url(url))}">{text}</a>'


_markdown = mistune.create_markdown(
    renderer=_Renderer(escape=True), plugins=["table", "strikethrough", "task_lists", "url"]
)


def to_html(text: str) -> str:
    """Sanitised HTML of a markdown text."""
    html = str(_markdown(text))
    html = html.replace("<table>", '<div class="tw" tabindex="0"><table>').replace("</table>", "</table></div>")
    return nh3.clean(
        html,
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
    )
