"""A chat as the tutorials of Channels lead to it: a consumer, a group, one channel-layer message per token.

`BENCH_PROVIDER` is the provider's base address, `BENCH_REDIS` the channel layer's. No
login, no database: less than a real one would do.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="only-for-the-benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    CHANNEL_LAYERS={
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [os.environ["BENCH_REDIS"]]},
        }
    },
)

import django  # noqa: E402

django.setup()

from channels.generic.websocket import AsyncJsonWebsocketConsumer  # noqa: E402
from channels.routing import ProtocolTypeRouter, URLRouter  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.http import HttpRequest, HttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from openai import AsyncOpenAI  # noqa: E402

client = AsyncOpenAI(base_url=os.environ["BENCH_PROVIDER"], api_key="none")


class ChatConsumer(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # Channels has no types
    groups: list[str]

    async def connect(self) -> None:
        self.rooms: set[str] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        await self.accept()

    async def disconnect(self, code: int) -> None:
        for room in self.rooms:
            await self.channel_layer.group_discard(room, self.channel_name)

    async def receive_json(self, content: dict[str, Any], **kwargs: Any) -> None:
        room = content["room"]
        if content.get("leave"):
            self.rooms.discard(room)
            await self.channel_layer.group_discard(room, self.channel_name)
            await self.send_json({"left": True})
            return
        if room not in self.rooms:
            self.rooms.add(room)
            await self.channel_layer.group_add(room, self.channel_name)
        await self.send_json({"joined": True})
        if content.get("prompt"):
            task = asyncio.create_task(self.answer(room, content["prompt"]))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def answer(self, room: str, prompt: str) -> None:
        stream = await client.chat.completions.create(
            model="bench", messages=[{"role": "user", "content": prompt}], stream=True, max_tokens=4096
        )
        async for part in stream:
            if part.choices and (text := part.choices[0].delta.content):
                await self.channel_layer.group_send(room, {"type": "chat.token", "text": text})
        await self.channel_layer.group_send(room, {"type": "chat.end"})

    async def chat_token(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "token", "text": event["text"]})

    async def chat_end(self, event: dict[str, Any]) -> None:
        await self.send_json({"type": "end"})


def ok(request: HttpRequest) -> HttpResponse:
    return HttpResponse("ok")


urlpatterns = [path("", ok)]
application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": URLRouter([path("", ChatConsumer.as_asgi())])}
)
