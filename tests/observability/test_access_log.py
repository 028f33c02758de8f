"""What a server process writes in production: our lines only, each once, and no probe among them."""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from urllib.error import HTTPError

import pytest

from nexus_site.access_log import log_action, ours_instead
from tests.prepared import migrated_copy
from tests.realtime.live import Kind, LiveServer

SECRET = "a-key-of-this-test-alone-0123456789-0123456789-abcdef"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["daphne", "uvicorn"])
def test_it_writes_nothing_but_its_own_lines(kind: Kind, tmp_path: Path) -> None:
    server = LiveServer(kind, tmp_path, DEBUG="0", SECRET_KEY=SECRET)
    migrated_copy(tmp_path / "nexus.sqlite3")
    server.start()
    try:
        for path in ("/livez", "/readyz", "/metrics", "/accounts/login/?next=walrus"):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=60).close()
            except HTTPError as answer:
                answer.close()
    finally:
        server.stop()
    written = [json.loads(line) for line in server.log.read_text().splitlines()]
    lifecycle = [line["event"] for line in written if line["logger"] == "uvicorn.error"]
    assert len(lifecycle) == len(set(lifecycle)) and ("Shutting down" in lifecycle) == (kind == "uvicorn")
    asked = [line for line in written if line["logger"] == "nexus_site.access_log"]
    assert [(line["event"], line["method"], line["path"], line["level"]) for line in asked] == (
        [("request", "GET", "/accounts/login/", "info")] if kind == "daphne" else []
    )
    assert all(isinstance(line["http_status"], int) and line["duration_ms"] >= 0 for line in asked)
    assert "walrus" not in server.log.read_text()


def test_it_names_sockets_without_what_their_address_carries(written) -> None:
    for action in ("connecting", "connected", "disconnected", "rejected"):
        log_action("websocket", action, {"path": b"/ws/?ticket=walrus", "client": None})
    said = ["socket opened", "socket closed", "socket refused"]
    assert [(line["event"], line["path"]) for line in written.lines] == [(event, "/ws/") for event in said]


def test_it_leaves_out_what_an_address_opens(written) -> None:
    for path in (b"/join/walrus/", b"/accounts/password/reset/key/walrus/", b"/join/"):
        log_action("http", "complete", {"method": "GET", "path": path, "status": 302, "time_taken": 0.1})
    assert [line["path"] for line in written.lines] == ["/join/…", "/accounts/password/reset/key/…", "/join/"]


def test_it_leaves_an_access_log_that_was_asked_for() -> None:
    class Theirs:
        def __init__(self, stream: object) -> None:
            self.stream = stream

        def __call__(self, *_: object) -> None: ...

    file, screen = Theirs(object()), Theirs(sys.stdout)
    assert ours_instead(None, sys.stdout) is None
    assert ours_instead(file, sys.stdout) is file
    assert ours_instead(screen, sys.stdout) is log_action
