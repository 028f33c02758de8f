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
    "started": "seq 1 of every run: `runId`, `conversationId`, `agentId`, `messageId`; of a resumed one also `resumedFrom`, "
    "`fromStep` (how many completed steps it goes on from) and `damaged: true` when a checkpoint could not be used",
    "progress": "how far it is: `percentage`, `currentStep`, `totalSteps`, `estimatedTimeRemaining` (seconds), "
    "`tokensUsed`, `cost`, perhaps `message`; null where nobody knows. With `toolId` it is about that call, else about the run",
    "retrying": "a provider request failed and is made again after `delayMs`: `attempt`, `code`",
    "fallback": "another model goes on: `provider`, `model`",
    "waiting": "the tool call `toolId` waits for a person",
    "steered": "the agent heard what a person said meanwhile, `messageId`: the answer hangs below that message from here on",
    "resumed": "another owner took the run over: `epoch`, `fromStep`, and `damaged: true` when a checkpoint could not be used",
    "reset": "drop content, reasoning and tool calls with `keepSeq` < seq < this chunk's own",
    "complete": "the answer is whole: `tokenUsage`, `cost`, `durationMs`, `stopReason`, `confidence`, `messageId`",
    "cancelled": "somebody stopped it; fields as above, `estimated: true` where the provider did not say",
    "failed": "it could not go on (an `error` chunk says why); fields as above",
}

SERVER_FRAMES = {
    "welcome": "first frame: `connectionId`, `user`, `workspace`, `role`, `protocol`, `heartbeatSeconds`",
    "chunk": "one chunk of a run: `runId`, `conversationId`, `seq`, `chunk`. The sender gets it like everyone else",
    "subscribed": (
        "answer to `subscribe`: the conversation as it stands (`conversation`, `messages`, `runs`, `members`, `presence`); "
        "`draft` is what is being written together there, or null; of a long one the newest part: `earlier {before, count}` leads to `GET …/thread?before=`, `totals` counts all its runs; "
        "then the missing chunks of its runs, then what is new"
    ),
    "unsubscribed": "answer to `unsubscribe`; unasked where the conversation was closed to this person",
    "run.accepted": (
        "answer to `run.start`, `run.resume` and `run.continue`: `clientId`, `runId`, `conversationId`, `messageId`, `answerId`, `status`"
    ),
    "run.cancelled": "answer to `run.cancel`: the wish is stored; the run's terminal chunk follows",
    "message.created": "a message is stored: `conversationId`, `message` (over 4,096 characters of text alone: without `parts`); an answer comes behind its terminal chunk",
    "message.feedback": (
        "what this person thinks of an answer changed: `conversationId`, `messageId`, `feedback {rating, comment}` or null; "
        "to their own sockets alone"
    ),
    "run.queued": "a run waits for the one before it: `run`",
    "run.started": "an agent begins: `run`",
    "run.finished": "it ended: `runId`, `status`, `tokenUsage`, `cost`, `run`",
    "tool_call.updated": "a tool call changed: `runId`, `conversationId` and the data of the `tool_call` chunk",
    "tool.decided": "answer to `tool.decide`: `toolId`, `call` as `GET /api/tool-calls/{toolId}` gives it",
    "tool_call.settled": "a call of unknown outcome was settled by a person: `conversationId`, `call`",
    "run.waiting": "it was put aside until people decide: `run`",
    "approval.updated": "a call was put to people, or somebody said something to it: `approval`; to those subscribed",
    "approval.notice": (
        "the same without its words (`toolId`, `toolName`, `runId`, `conversationId`, `agentId`, `kind`, `status`, `role`, "
        "`expiresAt`, `decidedBy`), to everyone in whose list the conversation stands"
    ),
    "run.steered": "answer to `run.steer`: `runId`, `messageId`; the message follows when the agent has heard it",
    "run.steering": "somebody said something to a running agent: `runId`, `messageId`, `text`, `author`; not heard yet",
    "run.control": "answer to `control.take` and `control.grant`, and to those subscribed: who controls the run now "
    "(`controlledBy {id, name}`) and the fencing token `controlFence`",
    "run.control_wanted": "answer to `control.request`, and to those subscribed: `by {id, name}` asks for control of `runId`",
    "draft.opened": (
        "answer to `draft.open`, and to those subscribed when a draft begins: `conversationId`, "
        "`draft {id, text, version, openedBy}`"
    ),
    "draft.read": "answer to `draft.read`: `conversationId`, `draft` as above, or null",
    "draft.edited": "answer to `draft.edit`: `draftId`, `version` that the edit made",
    "draft.changed": (
        "a splice was taken, in the order of `version`: `conversationId`, `draftId`, `version`, `at`, `removed`, `inserted`, "
        "`userId`, `clientId` of the edit; to those subscribed, the author too"
    ),
    "draft.closed": (
        "answer to `draft.close`, and to those subscribed: `conversationId`, `draftId`, `by {id, name}`, and `sent`: "
        "it comes as their message, else it was thrown away"
    ),
    "conversation.updated": "title, status or counts changed: `conversation`; to everyone in whose list it stands",
    "conversation.access": (
        "what one may do in a conversation changed: `conversationId`, `right` (`write`, `view`, or null: it is closed to you "
        "now), where it was shared by name `title` and `by`; to that person alone"
    ),
    "conversation.read": (
        "answer to `conversation.read`, and to all tabs and devices of that person: `conversationId`, `unread`, `lastReadAt`"
    ),
    "run.ended": (
        "a run of one's own came to its end: `runId`, `conversationId`, `workspaceId`, `agentId`, `status`, `durationMs`; "
        "to the person who asked, wherever they are in the workspace"
    ),
    "members.changed": "somebody became a member, has another role, or (`role` null) is a member no more: `userId`, `role`; to the workspace",
    "presence.changed": "who is here: `users`, the whole list, at most one a second; to the workspace",
    "cursor.moved": "`userId`, `name`, `typing`, `since` (when the socket that says it came), `cursor`, `selection`; to those subscribed, some a second at most",
    "activity.recorded": "what happened: `id`, `activityType`, `userId`, `metadata`, `createdAt`; to the workspace",
    "usage.updated": "numbers of a finished run: `runId`, `agentId`, `userId`, `tokenUsage`, `cost`; to the workspace",
    "budget.warning": (
        "a percentage of a budget's period was reached, once each: `budgetId`, `name`, `scope`, `period`, `periodKey`, `percent`, "
        "`spent`, `reserved`, `limit`, `hard`; to the workspace"
    ),
    "resync": "frames may not have arrived, for a break between the servers: `subscribe` again to what is shown, read lists again; chunks follow by themselves",
    "pong": "answer to `ping`",
    "error": "a frame that was refused: its `id`, `code`, `message`. The socket stays open",
}

CLIENT_FRAMES_WITHOUT_DOC = {
    "run.cancel": "Asks the run to stop. Its partial text stays; the terminal chunk says `cancelled`.",
    "unsubscribe": "Ends `subscribe`.",
}
