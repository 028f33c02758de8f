/**
 * What a reader sees of a conversation, in order: messages of the chosen branch, answers that are being
 * written, and what waits to be sent. Pure selectors over the reducer's state.
 */
import { forkKey } from "./reducer.js";
import { isLive, newRun, runText } from "./run.js";

/**
 * @typedef {{key: string, from: "user"|"assistant", message: object|null, run: object|null, pending: object|null,
 *   branches: {index: number, count: number, fork: string, ids: string[]}|null}} Entry
 */

/**
 * The visible entries, oldest first.
 * @returns {Entry[]}
 */
export function thread(state) {
  const { ids, branches } = visible(state);
  const entries = [];
  const shownRuns = new Set();
  for (const id of ids) {
    const message = state.messages[id];
    const run = message.role === "assistant" && message.runId ? (state.runs[message.runId] ?? null) : null;
    if (run) shownRuns.add(run.id);
    entries.push({
      key: message.role === "assistant" && message.runId ? `run:${message.runId}` : `message:${id}`,
      from: message.role === "assistant" ? "assistant" : "user",
      message,
      run,
      pending: null,
      branches: branches.get(id) ?? null,
      at: Date.parse(message.createdAt) || 0,
    });
  }
  const answered = new Set(Object.values(state.messages).filter((one) => one.role === "assistant").map((one) => one.runId));
  for (const run of Object.values(state.runs)) {
    if (shownRuns.has(run.id) || answered.has(run.id) || run.superseded) continue;
    const replaced = hiddenByRegeneration(entries, run);
    if (!isVisiblePrompt(ids, run) || (!isLive(run) && !hasSomething(run))) continue;
    if (replaced >= 0) entries.splice(replaced, 1);
    const place = placeAfterPrompt(entries, run);
    entries.splice(place, 0, { key: `run:${run.id}`, from: "assistant", message: null, run, pending: null, branches: null, at: run.queuedAt ?? 0 });
  }
  for (const pending of state.pending) {
    if (pending.quiet || (pending.regenerateMessageId && !pending.error)) continue;
    // An edited message stands in the place of the one that it replaces from the first moment.
    const replaced = pending.replaces && !pending.error ? entries.findIndex((entry) => entry.message?.id === pending.replaces) : -1;
    if (replaced >= 0) entries.splice(replaced);
    entries.push({ key: `pending:${pending.clientId}`, from: "user", message: null, run: null, pending, branches: null, at: pending.at });
  }
  return entries;
}

/** While an answer is written anew, its new text stands in the place of the old one. */
function hiddenByRegeneration(entries, run) {
  if (!isLive(run)) return -1;
  return entries.findIndex((entry) => entry.from === "assistant" && entry.message && entry.message.parentId === run.promptId && entry.message.runId !== run.id);
}

function isVisiblePrompt(ids, run) {
  return !run.promptId || ids.includes(run.promptId);
}

function hasSomething(run) {
  return run.items.length > 0 || Boolean(run.error) || run.status === "failed";
}

function placeAfterPrompt(entries, run) {
  const prompt = entries.findIndex((entry) => entry.message && entry.message.id === run.promptId);
  if (prompt < 0) return entries.length;
  let place = prompt + 1;
  while (place < entries.length && entries[place].from === "assistant") place += 1;
  return place;
}

/**
 * Walks the tree from its root, at each fork along the chosen branch or else the one in which something was written last.
 * People's messages and agents' answers under one parent are not alternatives of one another: two people may
 * write, and two agents answer, at the same place.
 */
function visible(state) {
  const children = new Map();
  for (const message of Object.values(state.messages)) {
    if (!isShown(message)) continue;
    const parent = hangsAt(message, state);
    const list = children.get(parent) ?? [];
    list.push(message);
    children.set(parent, list);
  }
  const newest = newestBelow(state, children);
  const ids = [];
  const branches = new Map();
  const queue = ["root"];
  while (queue.length) {
    const parent = queue.shift();
    const forks = new Map();
    for (const message of (children.get(parent) ?? []).sort(byAge)) {
      const fork = parent === "root" ? forkKey(message) : forkKey({ parentId: parent, role: message.role });
      forks.set(fork, [...(forks.get(fork) ?? []), message]);
    }
    for (const [fork, group] of forks) {
      const chosen = group.find((one) => one.id === state.choices[fork]) ?? group.reduce((best, one) => (newest.get(one.id) >= newest.get(best.id) ? one : best));
      ids.push(chosen.id);
      queue.push(chosen.id);
      if (group.length > 1) branches.set(chosen.id, { index: group.indexOf(chosen), count: group.length, fork, ids: group.map((one) => one.id) });
    }
  }
  return { ids: inReadingOrder(ids.map((id) => state.messages[id])), branches };
}

/**
 * Questions by age, each followed by its answer: an answer that took long stays where its reader saw it grow, also when
 * somebody asked the next thing meanwhile.
 */
function inReadingOrder(messages) {
  const shown = new Set(messages.map((message) => message.id));
  const answers = new Map();
  const heads = [];
  for (const message of [...messages].sort(byAge)) {
    const follows = message.role === "assistant" && shown.has(message.parentId);
    if (follows) answers.set(message.parentId, [...(answers.get(message.parentId) ?? []), message.id]);
    else heads.push(message.id);
  }
  return heads.flatMap((id) => [id, ...(answers.get(id) ?? [])]);
}

function isShown(message) {
  return !message.superseded && message.role !== "system" && message.role !== "tool";
}

/**
 * Where a message hangs: at its parent, or where that one is withdrawn, at what the parent hung at. Where the page holds
 * only the latest part of a long conversation, messages whose parent is not loaded hang at the root: there only those with
 * the same parent are alternatives, the others are a sequence.
 */
function hangsAt(message, state) {
  let parent = state.messages[message.parentId];
  while (parent && !isShown(parent)) parent = state.messages[parent.parentId];
  return parent ? parent.id : "root";
}

/** Of each message, when the newest below it (or it itself) was written. */
function newestBelow(state, children) {
  const newest = new Map();
  const order = Object.values(state.messages).sort(byAge).reverse();
  for (const message of order) {
    const below = (children.get(message.id) ?? []).map((child) => newest.get(child.id) ?? 0);
    newest.set(message.id, Math.max(placeOf(message), ...below));
  }
  return newest;
}

/** Where a message stands in its conversation: its number there, or its time. */
function placeOf(message) {
  return message.number ?? Date.parse(message.createdAt) ?? 0;
}

function byAge(a, b) {
  if (a.number !== undefined && b.number !== undefined) return a.number - b.number;
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

/** Runs of this conversation that have not ended. */
export function liveRuns(state) {
  return Object.values(state.runs).filter((run) => isLive(run) && (!state.conversation || !run.conversationId || run.conversationId === state.conversation.id));
}

/** The run in view: the given one, or the live one, or the newest. */
export function currentRun(state, runId = null) {
  if (runId && state.runs[runId]) return state.runs[runId];
  const runs = Object.values(state.runs).filter((run) => !run.superseded);
  return runs.find(isLive) ?? runs.sort((a, b) => (a.queuedAt ?? a.startedAt ?? 0) - (b.queuedAt ?? b.startedAt ?? 0)).at(-1) ?? null;
}

/**
 * The steps of a run on one time axis: a row per model call and per tool.
 * @returns {{rows: {id: string, label: string, kind: "model"|"tool", state: string, start: number, end: number|null, itemIndex: number}[], start: number, end: number}}
 */
export function waterfall(run, now) {
  const start = run.startedAt ?? run.queuedAt ?? run.items[0]?.startedAt ?? now;
  const rows = [];
  let step = null;
  let cursor = start;
  const toolRows = [];
  const closeStep = (at) => {
    if (step) step.end = at;
    step = null;
  };
  run.items.forEach((item, index) => {
    if (item.kind === "tool") {
      if (!step && !toolRows.length) openStep(index);
      closeStep(item.startedAt);
      const row = { id: item.toolId, label: item.call.toolName, kind: "tool", state: item.call.status, start: item.startedAt, end: item.endedAt, durationMs: item.call.durationMs ?? null, itemIndex: index };
      rows.push(row);
      toolRows.push(row);
      cursor = Math.max(cursor, item.endedAt ?? item.startedAt);
    } else {
      if (!step) openStep(index);
      step.writing = item.kind === "text";
    }
  });
  function openStep(index) {
    const number = rows.filter((row) => row.kind === "model").length + 1;
    step = { id: `step-${number}`, label: `Step ${number}`, kind: "model", state: "COMPLETED", start: cursor, end: null, itemIndex: index, writing: false };
    rows.push(step);
    toolRows.length = 0;
  }
  const live = isLive(run);
  const toolsSettled = rows.every((row) => row.kind !== "tool" || row.end !== null);
  if (live && run.status === "running" && !step && toolsSettled) openStep(run.items.length - 1);
  const end = live ? Math.max(now, cursor) : (run.endedAt ?? cursor);
  for (const row of rows) {
    if (row.kind !== "model") continue;
    const last = row === step;
    if (last && live) row.state = "RUNNING";
    if (last && !live) row.end = end;
    if (last && run.status === "failed") row.state = "FAILED";
    row.label += row.state === "RUNNING" ? (row.writing ? ", writing" : ", thinking") : ", model call";
  }
  // A slash command calls no model: what stands around its tool are not steps.
  const asked = live || !run.tokenUsage || run.tokenUsage.total > 0;
  return { rows: asked ? rows : rows.filter((row) => row.kind === "tool"), start, end: Math.max(end, start + 1) };
}

/**
 * A message's stored parts as the items of a run, so that history and live answers are drawn by the same code.
 */
export function messageItems(message) {
  const at = Date.parse(message.createdAt) || 0;
  const items = [];
  for (const part of message.parts ?? []) {
    if (part.type === "text" || part.type === "content") {
      items.push({ kind: "text", section: part.section ?? null, text: part.text ?? part.content ?? "", marks: [], startedAt: at, endedAt: at });
    } else if (part.type === "reasoning" || part.type === "thinking") {
      items.push({ kind: "reasoning", text: part.text ?? "", marks: [], startedAt: at, endedAt: at + (part.durationMs ?? 0), known: part.durationMs !== undefined });
    } else if (part.type === "tool_call") {
      const call = { ...part, toolName: part.toolName ?? part.name };
      items.push({ kind: "tool", toolId: part.toolId, versions: [], call, startedAt: at, endedAt: at });
    }
  }
  if (!items.some((item) => item.kind === "text") && message.content) {
    items.push({ kind: "text", section: null, text: message.content, marks: [], startedAt: at, endedAt: at });
  }
  return items;
}

/** What can be copied of an entry: its words, without reasoning and tools. */
export function entryText(entry) {
  if (entry.pending) return entry.pending.text;
  if (entry.run && entry.run.items.length) return runText(entry.run);
  return entry.message ? entry.message.content : "";
}

export { newRun };
