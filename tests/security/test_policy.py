"""What may run on a page [S1]: every page of the resolver says so in its policy, and keeps to it.

In a browser the same is tested by tests/e2e/test_policy.py; here no page can be forgotten.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import pytest
from django.test import Client

from workspaces.access import Actor

from .things import build, pages

Said = Callable[[str], None]
NONCE = re.compile(r"'nonce-([A-Za-z0-9+/=_-]{20,})'")
CLOSED = {
    "default-src": {"'self'"},
    "img-src": {"'self'", "data:", "blob:"},
    "font-src": {"'self'"},
    "connect-src": {"'self'"},
    "object-src": {"'none'"},
    "base-uri": {"'none'"},
    "form-action": {"'self'"},
    "frame-ancestors": {"'none'"},
}
LOADS = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src", "form": "action"}  # fmt: skip
ELSEWHERE = re.compile(r"^\s*(https?:)?//|^\s*(javascript|data|vbscript):", re.IGNORECASE)


class Page(HTMLParser):
    """What of a page the policy is about: `faults`, and how many elements were looked at."""

    def __init__(self, nonce: str) -> None:
        super().__init__()
        self.nonce, self.elements = nonce, 0
        self.faults: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements += 1
        given = {name: value or "" for name, value in attrs}
        data = given.get("type", "") in ("application/json", "text/template")
        inline = tag == "style" or (tag == "script" and "src" not in given and not data)
        if inline and (not self.nonce or given.get("nonce") != self.nonce):
            self.faults.append(f"<{tag}> without the page's nonce")
        for name, value in given.items():
            if name.startswith("on") or name in ("style", "srcdoc"):
                self.faults.append(f"<{tag} {name}={value!r}>")
        address = given.get("href", "") if tag == "link" else given.get(LOADS.get(tag, ""), "")
        if ELSEWHERE.match(address) and not (tag == "img" and address.startswith("data:image/")):
            self.faults.append(f"<{tag}> of {address!r}")
        if tag == "a" and re.match(r"\s*(javascript|data|vbscript):", given.get("href", ""), re.IGNORECASE):
            self.faults.append(f"<a> to {given['href']!r}")


def policy_of(response: Any) -> tuple[dict[str, set[str]], str]:
    """The directives, and the nonce or ""."""
    text = response.headers["Content-Security-Policy"]
    words = [part.split() for part in text.split(";") if part.strip()]
    found = NONCE.search(text)
    return {name: set(values) for name, *values in words}, found[1] if found else ""


@pytest.mark.django_db(transaction=True)
def test_every_page_keeps_to_a_policy_that_lets_nothing_in(
    operator: Client, alice: Actor, settings: Any, tmp_path: Any, told: Said
) -> None:
    settings.MEDIA_ROOT = tmp_path
    things = build(alice, "policy")
    routes = [re.sub(r"<\w+:(\w+)>", lambda found: things.get(found[1], "1"), route) for route in pages()]
    seen: dict[str, int] = {}
    for client in (operator, Client()):
        for route in sorted({route for route in routes if not re.search(r"[(?<^\\]", route)}):
            response = client.get(f"/{route}")
            if not response.headers.get("Content-Type", "").startswith("text/html") or response.streaming:
                continue
            policy, nonce = policy_of(response)
            if "default-src" in policy and policy["default-src"] == {"'none'"}:
                continue  # stricter than any page of ours: what is shared, and files
            for name in ("script-src", "style-src"):
                assert policy.pop(name) == {"'self'"} | ({f"'nonce-{nonce}'"} if nonce else set()), route
            assert policy == CLOSED, route
            page = Page(nonce)
            page.feed(response.content.decode())
            assert page.faults == [], route
            seen[route] = seen.get(route, 0) + page.elements
    assert {"", "history/", "members/", "audit/", "settings/", "usage/", "admin/", "accounts/login/"} <= set(
        seen
    )
    told(
        f"content policy: {len(seen)} pages, {sum(seen.values())} elements, nothing inline without its nonce"
    )


@pytest.mark.django_db(transaction=True)
def test_a_nonce_is_good_for_one_page_once() -> None:
    nonces = {policy_of(Client().get("/accounts/login/"))[1] for _ in range(5)}
    assert len(nonces) == 5 and "" not in nonces
