"""A model that takes its time: OpenAI's chat wire, streaming, at the pace and length that the question asks for."""

from __future__ import annotations

import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_ORDER = re.compile(r"words=(\d+) pace=(\d+)(?: hold=(\d+))?")


def words(count: int) -> str:
    """What it answers: numbered words, so that a lost, doubled or swapped one shows."""
    return " ".join(f"w{n}" for n in range(count))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last = body["messages"][-1]["content"]
        order = _ORDER.search(last if isinstance(last, str) else json.dumps(last))
        count, pace = (int(order[1]), int(order[2])) if order else (1, 0)
        hold = int(order[3]) if order and order[3] else -1
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        try:
            for n in range(count):
                if n == hold:
                    self.server.free.wait(120)  # type: ignore[attr-defined]
                self._say({"delta": {"content": f"w{n}" if n == 0 else f" w{n}"}, "finish_reason": None})
                time.sleep(pace / 1000)
            self._say({"delta": {}, "finish_reason": "stop"})
            self.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            pass  # the server was stopped meanwhile

    def _say(self, choice: dict[str, object]) -> None:
        chunk = {
            "id": "c",
            "object": "chat.completion.chunk",
            "created": 1,
            "model": "slow",
            "choices": [{"index": 0, **choice}],
        }
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.flush()

    def log_message(self, *_: object) -> None:
        pass


class SlowModel:
    """With `hold=7` in the question it stands still before w7, until `free` is set: it is surely in the middle."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.free = self._server.free = threading.Event()  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True, name="slow-model")
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def stop(self) -> None:
        self.free.set()
        self._server.shutdown()
        self._server.server_close()
