"""A person at the HTTP API: Django's async client with the CSRF token that the browser would send."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson
from django.http import HttpResponse
from django.middleware.csrf import _get_new_csrf_string
from django.test import AsyncClient

from workspaces.access import Actor


class Person:
    """Logged in by cookie. `await person.post("/api/…", {…})` gives status and body."""

    def __init__(self, actor: Actor | None) -> None:
        self.actor = actor
        self.client = AsyncClient(enforce_csrf_checks=True)
        self.csrf = _get_new_csrf_string()
        self.client.cookies["csrftoken"] = self.csrf

    async def log_in(self) -> Person:
        assert self.actor is not None
        await self.client.aforce_login(self.actor.user, backend="django.contrib.auth.backends.ModelBackend")
        return self

    async def request(self, method: str, path: str, body: Any = None, **headers: str) -> HttpResponse:
        extra: dict[str, Any] = {
            "headers": {"X-CSRFToken": self.csrf, **{k.replace("_", "-"): v for k, v in headers.items()}}
        }
        if body is not None:
            extra |= {
                "data": body if isinstance(body, bytes) else orjson.dumps(body),
                "content_type": "application/json",
            }
        response: HttpResponse = await getattr(self.client, method)(path, **extra)
        return response

    async def get(self, path: str, **headers: str) -> HttpResponse:
        return await self.request("get", path, **headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> HttpResponse:
        return await self.request("post", path, body if body is not None else {}, **headers)

    async def put(self, path: str, body: Any, **headers: str) -> HttpResponse:
        return await self.request("put", path, body, **headers)

    async def patch(self, path: str, body: Any, **headers: str) -> HttpResponse:
        return await self.request("patch", path, body, **headers)

    async def delete(self, path: str, **headers: str) -> HttpResponse:
        return await self.request("delete", path, **headers)

    async def ask(self, text: str, **more: Any) -> dict[str, Any]:
        """Asks the demo agent and waits for the whole run."""
        response = await self.post("/api/invoke", {"agentId": "demo-agent", "message": text, **more})
        assert response.status_code == 200, response.content
        return response.json()


def error_of(response: HttpResponse) -> tuple[int, str]:
    """`(status, code)` of an error answer, whose shape is checked on the way."""
    error = response.json()["error"]
    assert (
        set(error) <= {"code", "message", "requestId", "details"} and error["message"] and error["requestId"]
    )
    assert response["X-Request-Id"] == error["requestId"]
    return response.status_code, error["code"]


async def events_of(response: Any) -> list[tuple[int, dict[str, Any]]]:
    """`(seq, chunk)` of a stream of server-sent events, read to its end as a browser reads it."""
    raw = b"".join([part async for part in response.streaming_content])
    blocks = raw.decode().split("\n\n")
    assert blocks[0] == ": connected" and blocks[-1] == ""
    found = []
    for block in blocks[1:-1]:
        if block.startswith(":"):
            continue
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        assert set(lines) == {"id", "data"}
        found.append((int(lines["id"]), orjson.loads(lines["data"])))
    return found


def absent() -> UUID:
    return UUID("00000000-0000-4000-8000-000000000000")
