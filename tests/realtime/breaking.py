"""The product's application with one more page, `/breaks`: an answer that breaks after its first byte."""

from __future__ import annotations

from typing import Any

from nexus_site import asgi


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope.get("path") != "/breaks":
        await asgi.application(scope, receive, send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"begun", "more_body": True})
    raise RuntimeError("it broke on the way")
