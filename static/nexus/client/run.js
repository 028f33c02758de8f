/**
 * One run, built chunk by chunk. Pure: every function takes a run and returns a run, never changing its argument.
 *
 * A run is the ordered list of what the agent did (`items`: text, reasoning, tool calls) and how it stands.
 * Here live the sequence check (a chunk is applied only if its seq follows the last one) and the meaning of
 * every chunk type. What a conversation is made of lives in `reducer.js`.
 *
 * @typedef {{kind: "text", section: string|null, text: string, marks: Mark[], startedAt: number, endedAt: number|null}} TextItem
 * @typedef {{kind: "reasoning", text: string, marks: Mark[], startedAt: number, endedAt: number|null}} ReasoningItem
 * @typedef {{kind: "tool", toolId: string, versions: {seq: number, call: ToolCall}[], call: ToolCall, startedAt: number, endedAt: number|null}} ToolItem
 * @typedef {TextItem | ReasoningItem | ToolItem} Item
 * @typedef {{toolId: string, toolName: string, input: any, status: string, result?: any, error?: any, durationMs?: number}} ToolCall
 * @typedef {{seq: number, length: number}} Mark  where a piece ended: the text's length after the piece with that seq
 */

/** Statuses after which nothing more can come. */
export const TERMINAL = new Set(["complete", "cancelled", "failed"]);

const SETTLED_TOOL = new Set(["COMPLETED", "FAILED", "UNKNOWN"]);

/**
 * A run of which nothing is known yet but its id.
 * @param {string} id
 * @param {object} [known] fields that the server already told
 */
export function newRun(id, known = {}) {
  return {
    id,
    conversationId: null,
    agentId: null,
    promptId: null,
    answerId: null,
    startedBy: null,
    cancelledBy: null,
    controlledBy: null,
    controlFence: 0,
    superseded: false,
    timeToFirstTokenMs: null,
    provider: null,
    model: null,
    status: "queued",
    lastSeq: 0,
    storedSeq: 0,
    gapAt: 0,
    epoch: 1,
    items: [],
    notes: [],
    notice: null,
    progress: null,
    /** how many characters were written when `progress` was told: its numbers have them */
    counted: 0,
    budget: null,
    toolProgress: {},
    waitingFor: null,
    error: null,
    tokenUsage: null,
    cost: null,
    estimated: false,
    durationMs: null,
    stopReason: null,
    confidence: null,
    queuedAt: null,
    startedAt: null,
    firstWordsAt: null,
    endedAt: null,
    ...known,
  };
}

/** True while chunks can still come. */
export function isLive(run) {
  return !TERMINAL.has(run.status);
}

/** Characters of text and thinking, over all its steps. */
export function written(run) {
  return run.items.reduce((sum, item) => sum + (item.kind === "tool" ? 0 : item.text.length), 0);
}

/** All visible text of a run, over all its steps. */
export function runText(run) {
  return run.items.filter((item) => item.kind === "text").map((item) => item.text).join("");
}

/**
 * Applies one chunk if it is the next one.
 *
 * A seq that was seen already changes nothing; one that leaves a hole is not applied, but noted in `gapAt`, so
 * that whoever holds the run asks for a replay.
 *
 * @param {object} run
 * @param {number} seq 1, 2, 3 …
 * @param {{type: string, data: any, timestamp?: number}} chunk
 */
export function applyChunk(run, seq, chunk) {
  if (seq <= run.lastSeq) return run;
  if (seq !== run.lastSeq + 1) return run.gapAt >= seq ? run : { ...run, gapAt: seq };
  const at = chunk.timestamp ?? run.endedAt ?? 0;
  const next = interpret({ ...run, lastSeq: seq }, seq, chunk, at);
  return next.gapAt && next.gapAt <= seq ? { ...next, gapAt: 0 } : next;
}

function interpret(run, seq, chunk, at) {
  switch (chunk.type) {
    case "content":
      return addText(run, seq, chunk.data, at);
    case "reasoning":
      return { ...addPiece(run, "reasoning", null, String(chunk.data ?? ""), seq, at), notice: null };
    case "tool_call":
      return addToolCall(run, seq, chunk.data, at);
    case "error":
      return { ...run, error: chunk.data, notice: null };
    case "metadata":
      return applyMetadata(run, chunk.data ?? {}, at);
    default:
      return run; // a newer server may send types that this page does not know: the seq still counts
  }
}

function addText(run, seq, data, at) {
  const section = typeof data === "object" && data !== null ? (data.section ?? null) : null;
  const text = typeof data === "object" && data !== null ? String(data.content ?? "") : String(data ?? "");
  const next = addPiece(run, "text", section, text, seq, at);
  return { ...next, notice: null, firstWordsAt: next.firstWordsAt ?? at };
}

function addPiece(run, kind, section, text, seq, at) {
  const last = run.items[run.items.length - 1];
  if (last && last.kind === kind && (kind !== "text" || last.section === section)) {
    const grown = last.text + text;
    const item = { ...last, text: grown, marks: [...last.marks, { seq, length: grown.length }], lastAt: at };
    return { ...run, items: [...run.items.slice(0, -1), item] };
  }
  const item = { kind, text, marks: [{ seq, length: text.length }], startedAt: at, lastAt: at, endedAt: null };
  if (kind === "text") item.section = section;
  return { ...run, items: [...closeLast(run.items, at), item] };
}

function closeLast(items, at) {
  const last = items[items.length - 1];
  if (!last || last.endedAt !== null || last.kind === "tool") return items;
  return [...items.slice(0, -1), { ...last, endedAt: at }];
}

function addToolCall(run, seq, call, at) {
  const index = run.items.findIndex((item) => item.kind === "tool" && item.toolId === call.toolId);
  const endedAt = SETTLED_TOOL.has(call.status) ? at : null;
  const waitingFor = run.waitingFor === call.toolId && call.status !== "PENDING" ? null : run.waitingFor;
  const status = run.status === "waiting" && waitingFor === null ? "running" : run.status;
  if (index < 0) {
    const item = { kind: "tool", toolId: call.toolId, versions: [{ seq, call }], call, startedAt: at, endedAt };
    return { ...run, status, waitingFor, notice: null, items: [...closeLast(run.items, at), item] };
  }
  const old = run.items[index];
  const startedAt = old.call.status === "PENDING" && call.status === "RUNNING" ? at : old.startedAt;
  const item = { ...old, versions: [...old.versions, { seq, call }], call, startedAt, endedAt };
  return { ...run, status, waitingFor, notice: null, items: run.items.with(index, item) };
}

function applyMetadata(run, data, at) {
  switch (data.status) {
    case "started":
      return {
        ...run,
        status: "running",
        startedAt: at,
        conversationId: data.conversationId ?? run.conversationId,
        agentId: data.agentId ?? run.agentId,
        promptId: data.questionId ?? run.promptId,
        answerId: data.messageId ?? run.answerId,
      };
    case "progress": {
      const { status: _status, toolId, ...progress } = data;
      if (toolId) return { ...run, toolProgress: { ...run.toolProgress, [toolId]: progress } };
      return { ...run, progress, counted: typeof progress.tokensUsed === "number" ? written(run) : run.counted };
    }
    case "retrying":
      return { ...run, notice: { kind: "retrying", attempt: data.attempt, delayMs: data.delayMs, code: data.code, at } };
    case "fallback": {
      const note = { kind: "fallback", provider: data.provider, model: data.model, at };
      return { ...run, provider: data.provider ?? run.provider, model: data.model ?? run.model, notice: null, notes: [...run.notes, note] };
    }
    case "waiting":
      return { ...run, status: "waiting", waitingFor: data.toolId ?? null };
    case "resumed":
      return { ...run, status: "running", epoch: data.epoch ?? run.epoch + 1, notice: null, waitingFor: null };
    case "steered":
      return { ...run, promptId: data.messageId ?? run.promptId };
    case "reset":
      return withdraw(run, data.keepSeq ?? 1);
    case "complete":
    case "cancelled":
    case "failed":
      return finish(run, data, at);
    default:
      return run;
  }
}

function finish(run, data, at) {
  return {
    ...run,
    status: data.status,
    endedAt: at,
    notice: null,
    waitingFor: null,
    tokenUsage: data.tokenUsage ?? run.tokenUsage,
    cost: data.cost ?? run.cost,
    estimated: data.estimated ?? run.estimated,
    durationMs: data.durationMs ?? run.durationMs,
    stopReason: data.stopReason ?? null,
    budget: data.budget ?? run.budget,
    confidence: data.confidence ?? null,
    answerId: data.messageId ?? run.answerId,
    items: run.items.map((item) => (item.endedAt === null && item.kind !== "tool" ? { ...item, endedAt: at } : item)),
  };
}

/**
 * Takes back everything after `keepSeq`: what a cut step had written before another worker took the run over.
 * Text pieces are cut at their marks; a tool call falls back to how it stood then.
 */
function withdraw(run, keepSeq) {
  const items = [];
  for (const item of run.items) {
    if (item.kind === "tool") {
      const versions = item.versions.filter((version) => version.seq <= keepSeq);
      if (!versions.length) continue;
      const call = versions[versions.length - 1].call;
      items.push({ ...item, versions, call, endedAt: SETTLED_TOOL.has(call.status) ? item.endedAt : null });
      continue;
    }
    const marks = item.marks.filter((mark) => mark.seq <= keepSeq);
    if (!marks.length) continue;
    items.push({ ...item, marks, text: item.text.slice(0, marks[marks.length - 1].length) });
  }
  return { ...run, items, notice: null, firstWordsAt: items.some((item) => item.kind === "text") ? run.firstWordsAt : null };
}
