"""Words for the wire reference that no type carries: examples, and what each name means."""

from __future__ import annotations

from nexus_core.chunks import Chunk, ContentChunk, ErrorChunk, MetadataChunk, ReasoningChunk, ToolCallChunk

CHUNK_EXAMPLES: tuple[Chunk, ...] = (
    ContentChunk("Here are your "),
    ReasoningChunk("The person asks for this week, so "),
    ToolCallChunk(
        "5f0c…", "get_token_usage", {"timeRange": "week"}, "COMPLETED", {"totalTokens": 1200}, None, 12
    ),
    MetadataChunk("retrying", {"attempt": 1, "delayMs": 2000, "code": "rate_limit_exceeded"}),
    ErrorChunk("Rate limit exceeded. Please try again in a moment.", "rate_limit_exceeded", True),
)

METADATA = {
    "started": "seq 1 of every run: `runId`, `conversationId`, `agentId`, `messageId`",
    "progress": "how far it is: `percentage`, `currentStep`, `totalSteps`, `estimatedTimeRemaining`, `tokensUsed`, `cost`",
    "retrying": "a provider request failed and is made again after `delayMs`: `attempt`, `code`",
    "fallback": "another model goes on: `provider`, `model`",
    "waiting": "the tool call `toolId` waits for a person",
    "resumed": "another owner took the run over: `epoch`",
    "reset": "drop content, reasoning and tool calls with `keepSeq` < seq < this chunk's own",
    "complete": "the answer is whole: `tokenUsage`, `cost`, `durationMs`, `stopReason`, `confidence`, `messageId`",
    "cancelled": "somebody stopped it; fields as above, `estimated: true` where the provider did not say",
    "failed": "it could not go on (an `error` chunk says why); fields as above",
}

SERVER_FRAMES = {
    "chunk": "one chunk of a run: `runId`, `conversationId`, `seq`, `chunk`",
}
