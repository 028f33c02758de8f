"""With DEBUG off, as in production: pages have their files whether or not these were collected."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.server import Server

pytestmark = pytest.mark.slow

SECRET = "k3J9fQz8LmW2xVb7NcT5yRp1HdG6sAoE4uIqXv0Zt"


def read(url: str) -> tuple[str, str]:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return answer.read().decode(), answer.headers.get("Cache-Control", "")


def stylesheets(server: Server) -> list[str]:
    page, _ = read(server.url + "/accounts/login/")
    return re.findall(r'<link rel="stylesheet" href="([^"]+\.css)"', page)


def test_it_has_its_files_before_and_after_they_are_collected(tmp_path: Path) -> None:
    server = Server(tmp_path / "data", DEBUG="0", SECRET_KEY=SECRET, ALLOWED_HOSTS="127.0.0.1")
    server.prepare()
    server.start()
    try:
        plain = stylesheets(server)
        assert plain
        assert all("{" in read(server.url + address)[0] for address in plain)
    finally:
        server.stop()
    server.manage("collectstatic", "--noinput", "--verbosity", "0")
    server.start()
    try:
        hashed = stylesheets(server)
        assert len(hashed) == len(plain)
        assert not set(hashed) & set(plain)
        for address in hashed:
            text, cached = read(server.url + address)
            assert "{" in text
            assert "immutable" in cached
    finally:
        server.stop()
    assert not server.tracebacks()
