"""The application that Chainlit's documentation shows for a streaming answer. Runs in Chainlit's environment."""

import os

import chainlit  # type: ignore[import-not-found]  # it is in an environment of its own
from openai import AsyncOpenAI

client = AsyncOpenAI(base_url=os.environ["BENCH_PROVIDER"], api_key="none")


@chainlit.on_message  # type: ignore[untyped-decorator]
async def on_message(message: chainlit.Message) -> None:
    answer = chainlit.Message(content="")
    stream = await client.chat.completions.create(
        model="bench", messages=[{"role": "user", "content": message.content}], stream=True, max_tokens=4096
    )
    async for part in stream:
        if part.choices and (text := part.choices[0].delta.content):
            await answer.stream_token(text)
    await answer.update()
