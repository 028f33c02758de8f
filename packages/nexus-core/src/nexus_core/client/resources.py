"""The nouns of the API, one small class each: what can be listed, read and changed over HTTP.

`list` gives an async iterator over all pages. Names of fields are ours (snake_case); they go out in camelCase.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Literal

from .calls import Calls, prune
from .decode import camel
from .types import Agent, Conversation, File, Message, Token, Tool, ToolCall, Visibility

JSON = Any


def wire_fields(fields: dict[str, JSON]) -> dict[str, JSON]:
    """`system_prompt="…"` → `{"systemPrompt": "…"}`; None is sent, since for some fields it means something."""
    return {camel(name): value for name, value in fields.items()}


class Agents:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self, *, inactive: bool = False) -> AsyncIterator[Agent]:
        return self._calls.every(Agent.from_wire, "/api/agents", inactive="true" if inactive else None)

    async def get(self, agent_id: str) -> Agent:
        return await self._calls.one(Agent, "GET", f"/api/agents/{agent_id}")

    async def create(self, *, name: str, provider: str, model: str, **fields: JSON) -> Agent:
        """Admins and owners. Fields as in `Agent`: `system_prompt`, `tools`, `temperature` …"""
        body = wire_fields({"name": name, "provider": provider, "model": model, **fields})
        return await self._calls.one(Agent, "POST", "/api/agents", body=body)

    async def update(self, agent_id: str, **fields: JSON) -> Agent:
        """What is left out stays."""
        return await self._calls.one(
            Agent, "PATCH", f"/api/agents/{agent_id}", body=wire_fields(fields), repeatable=True
        )

    async def delete(self, agent_id: str) -> None:
        await self._calls.send("DELETE", f"/api/agents/{agent_id}")


class Conversations:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(
        self,
        *,
        status: Literal["active", "archived"] | None = None,
        search: str | None = None,
        agent: str | None = None,
    ) -> AsyncIterator[Conversation]:
        return self._calls.every(
            Conversation.from_wire, "/api/conversations", status=status, search=search, agent=agent
        )

    async def get(self, conversation_id: str) -> Conversation:
        return await self._calls.one(Conversation, "GET", f"/api/conversations/{conversation_id}")

    async def create(
        self, *, title: str = "", agent_id: str = "", visibility: Visibility = "workspace", **fields: JSON
    ) -> Conversation:
        """An empty one. A question without a conversation makes its own."""
        body = wire_fields({"title": title, "agent_id": agent_id, "visibility": visibility, **fields})
        return await self._calls.one(Conversation, "POST", "/api/conversations", body=body)

    async def update(self, conversation_id: str, **fields: JSON) -> Conversation:
        """`title`, `status`, `pinned`, `visibility`, `model`, `agent_id`, `shared_with`; what is left out stays."""
        path = f"/api/conversations/{conversation_id}"
        return await self._calls.one(Conversation, "PATCH", path, body=wire_fields(fields), repeatable=True)

    async def delete(self, conversation_id: str) -> None:
        """Nobody finds it any more and its runs are stopped; `restore` brings it back."""
        await self._calls.send("DELETE", f"/api/conversations/{conversation_id}")

    async def restore(self, conversation_id: str) -> Conversation:
        path = f"/api/conversations/{conversation_id}/restore"
        return await self._calls.one(Conversation, "POST", path, repeatable=True)

    def messages(
        self, conversation_id: str, *, order: Literal["asc", "desc"] | None = None
    ) -> AsyncIterator[Message]:
        return self._calls.every(
            Message.from_wire, f"/api/conversations/{conversation_id}/messages", order=order
        )

    def tool_calls(self, conversation_id: str) -> AsyncIterator[ToolCall]:
        return self._calls.every(ToolCall.from_wire, f"/api/conversations/{conversation_id}/tool-calls")

    async def fork(self, conversation_id: str, message_id: str) -> Conversation:
        """A new conversation of your own with everything up to that message, without its runs and costs."""
        path = f"/api/conversations/{conversation_id}/fork"
        return await self._calls.one(Conversation, "POST", path, body={"messageId": message_id})

    async def feedback(
        self, message_id: str, rating: Literal["good", "poor"] | None, *, comment: str = ""
    ) -> None:
        """What you think of an answer, yours alone; None takes it back."""
        path = f"/api/messages/{message_id}/feedback"
        if rating is None:
            await self._calls.send("DELETE", path)
        else:
            await self._calls.send("PUT", path, body={"rating": rating, "comment": comment})

    async def export(self, conversation_id: str, *, format: Literal["json", "md", "html"] = "json") -> bytes:
        """A file to keep: JSON has all branches, Markdown and HTML the newest."""
        got = await self._calls.send(
            "GET", f"/api/conversations/{conversation_id}/export", params={"format": format}, accept="*/*"
        )
        return got.body


class ToolCalls:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def get(self, tool_id: str) -> ToolCall:
        return await self._calls.one(ToolCall, "GET", f"/api/tool-calls/{tool_id}")

    def of_message(self, message_id: str) -> AsyncIterator[ToolCall]:
        """Of an answer, by its id; by a question's id, those of all its answers."""
        return self._calls.every(ToolCall.from_wire, f"/api/messages/{message_id}/tool-calls")


class Files:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def upload(self, content: bytes, *, name: str = "image") -> File:
        """PNG, JPEG, GIF or WebP. Its `file_id` goes into a message's parts."""
        return await self._calls.one(File, "POST", "/api/files", files={"file": (name, content)})

    async def download(self, file_id: str) -> bytes:
        return (await self._calls.send("GET", f"/api/files/{file_id}", accept="*/*")).body


class Tools:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> AsyncIterator[Tool]:
        """What agents may be given, and what people may type."""
        return self._calls.every(Tool.from_wire, "/api/tools")


class Tokens:
    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def list(self) -> AsyncIterator[Token]:
        return self._calls.every(Token.from_wire, "/api/tokens")

    async def create(
        self, name: str, *, read_only: bool = False, expires_at: datetime | None = None
    ) -> Token:
        """The secret is in `token` of this answer and nowhere else."""
        body = prune(
            name=name,
            scopes=["read"] if read_only else None,
            expiresAt=expires_at.isoformat() if expires_at else None,
        )
        return await self._calls.one(Token, "POST", "/api/tokens", body=body)

    async def revoke(self, token_id: str) -> None:
        """Programs that use it are refused at once."""
        await self._calls.send("DELETE", f"/api/tokens/{token_id}")
