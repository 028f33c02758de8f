"""Somebody with a browser who logs in by another service. Nothing is followed unseen."""

from __future__ import annotations

import re
from html import unescape

import httpx

from tests.e2e.server import Server

PASSWORD = "a long pass phrase"


class Browser(httpx.Client):
    """Begins at `begin`. Follows nothing by itself; `walk` goes to the provider and back as a browser would."""

    def __init__(self, server: Server, begin: str) -> None:
        super().__init__(base_url=server.url, trust_env=False, timeout=60)
        self.begin = begin

    def send_form(self, page: str, address: str, **fields: str) -> httpx.Response:
        found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.get(page).text)
        assert found is not None
        return self.post(address, data={**fields, "csrfmiddlewaretoken": found[1]})

    def log_in(self) -> Browser:
        done = self.send_form(
            "/accounts/login/", "/accounts/login/", login="alice", password=PASSWORD, remember="on"
        )
        assert done.status_code == 302
        return self

    def leave(self, process: str = "login", also: str = "") -> str:
        """Presses the button: where the page that answers leads to."""
        page = "/accounts/login/" if process == "login" else "/accounts/3rdparty/"
        answer = self.send_form(page, f"{self.begin}?process={process}{also}")
        assert answer.status_code == 200, answer.headers.get("location")
        found = re.search(r'http-equiv="refresh" content="0;url=([^"]+)"', answer.text)
        assert found is not None, answer.text[-800:]
        return unescape(found[1])

    def walk(self, process: str = "login") -> httpx.Response:
        back = httpx.get(self.leave(process), trust_env=False, timeout=60).headers["location"]
        return self.get(back)

    def reauthenticate(self) -> None:
        self.send_form("/accounts/reauthenticate/", "/accounts/reauthenticate/", password=PASSWORD)

    @property
    def is_in(self) -> bool:
        return self.get("/settings/").status_code == 200
