/**
 * From the server's words to ours: the few places where a wire object is given a fixed shape, so that nothing
 * after this has to ask whether a field is there.
 */

/**
 * @param {object} wire a message as the server sends it
 * @returns {{id: string, role: string, content: string, parts: object[], runId: string|null, parentId: string|null,
 *   conversationId: string|null, author: {id: string|null, name: string, kind: string}, createdAt: string, superseded: boolean}}
 */
export function toMessage(wire) {
  return {
    ...wire,
    id: wire.id ?? wire.messageId,
    role: wire.role ?? "user",
    content: wire.content ?? "",
    parts: wire.parts ?? [],
    runId: wire.runId ?? null,
    parentId: wire.parentId ?? null,
    conversationId: wire.conversationId ?? null,
    author: toAuthor(wire.author, wire.role),
    createdAt: wire.createdAt ?? "",
    superseded: Boolean(wire.superseded),
  };
}

function toAuthor(author, role) {
  const kind = role === "user" ? "person" : "agent";
  if (!author) return { id: null, name: kind === "person" ? "Somebody" : "Agent", kind };
  return { ...author, id: author.id ?? author.agentId ?? null, name: author.name ?? "", kind };
}

/**
 * A run's record. Only what the server told is in it, so that it can be laid over what is known. How far its log
 * goes is `storedSeq`; `lastSeq` is what was drawn here, and only chunks move it.
 */
export function toRun(wire) {
  const run = {
    id: wire.runId ?? wire.id,
    conversationId: wire.conversationId,
    agentId: wire.agentId,
    promptId: wire.messageId,
    answerId: wire.answerId,
    startedBy: wire.requestedBy,
    cancelledBy: wire.cancelledBy,
    controlledBy: wire.controlledBy,
    controlFence: wire.controlFence,
    provider: wire.provider,
    model: wire.model,
    status: wire.status,
    tokenUsage: wire.tokenUsage,
    cost: wire.cost,
    durationMs: wire.durationMs,
    stopReason: wire.stopReason,
    error: wire.error,
    resumedFrom: wire.resumedFrom || undefined,
    superseded: wire.superseded,
    contextTokens: wire.contextTokens,
    contextWindow: wire.contextWindow,
    estimated: wire.estimated,
    timeToFirstTokenMs: wire.timeToFirstTokenMs,
    queuedAt: toMs(wire.createdAt),
    startedAt: toMs(wire.startedAt),
    endedAt: toMs(wire.finishedAt),
    attempts: wire.attempts,
    storedSeq: wire.lastSeq,
  };
  return Object.fromEntries(Object.entries(run).filter(([, value]) => value !== undefined));
}

/** ms since epoch from a number or an ISO date; undefined if there is none. */
export function toMs(value) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number") return value;
  const ms = Date.parse(value);
  return Number.isNaN(ms) ? undefined : ms;
}

/** Presence entries, each `{userId, name, kind, activity, conversationId, since}`. */
export function toUsers(users) {
  return (users ?? []).map((user) => ({ kind: "person", activity: "viewing", conversationId: null, ...user, userId: user.userId ?? user.id }));
}
