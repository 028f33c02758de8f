/**
 * The one place where the state of a conversation changes: `reduce(state, frame) → state`.
 *
 * Pure and total: a frame of a type that is not known here changes nothing. Frames are the server's, as
 * PROTOCOL names them; those that begin with `local.` are made in the browser (a message that waits to be
 * sent, the branch a reader chose).
 */
import { applyChunk, isLive, newRun, TERMINAL } from "./run.js";
import { toMessage, toRun, toUsers } from "./wire.js";

/** Nothing known yet. */
export function initialState() {
  return {
    user: null,
    workspace: null,
    /** owner, admin, member or viewer */
    role: null,
    conversation: null,
    members: [],
    agents: [],
    presence: [],
    activities: [],
    /** how many activities are kept: more where somebody read back */
    activitiesKept: 50,
    /** @type {Record<string, object>} messages by id */
    messages: {},
    /** @type {Record<string, object>} runs by id */
    runs: {},
    /** @type {Record<string, object>} calls that were put to people, by toolId */
    approvals: {},
    /** @type {Record<string, object>} what was said to running agents and is not heard yet, by the id of its message */
    steerings: {},
    /** what was sent from here and is not acknowledged yet, oldest first */
    pending: [],
    /** which of several branches the reader chose: key of the fork → message id */
    choices: {},
    /** where a long conversation goes on above: the first message here and how many stand before it, or null */
    earlier: null,
    /** versions of which only the first message is here */
    unloaded: [],
    /** what all ended runs took when the server told: {tokens, cost, free, at}, or null */
    totals: null,
    /** what is being written together here: {id, openedBy}, or null */
    draft: null,
    /** who moves or types here: user id → {cursor, selection, typing, since, at} */
    cursors: {},
    usage: null,
    error: null,
  };
}

/**
 * @param {ReturnType<typeof initialState>} state
 * @param {{type: string, [key: string]: any}} frame
 */
export function reduce(state, frame) {
  const apply = REDUCERS[frame.type];
  return apply ? apply(state, frame) : state;
}

const REDUCERS = {
  welcome: (state, frame) => ({ ...state, user: { ...state.user, ...frame.user }, workspace: { ...state.workspace, ...frame.workspace }, role: frame.role ?? state.role }),
  subscribed,
  chunk,
  "message.created": messageCreated,
  "message.updated": messageCreated,
  "message.feedback": feedbackGiven,
  "message.deleted": (state, frame) => {
    const { [frame.messageId]: _gone, ...messages } = state.messages;
    return { ...state, messages };
  },
  "run.accepted": runAccepted,
  "run.queued": (state, frame) => withRun(state, frame, "queued"),
  "run.started": (state, frame) => withRun(state, frame, "running"),
  "run.waiting": (state, frame) => withRun(state, frame, "waiting"),
  "run.finished": runFinished,
  "approval.updated": (state, frame) => withApprovals(state, [frame.approval]),
  "tool.decided": (state, frame) => withApprovals(state, [frame.call?.approval]),
  "tool_call.settled": callSettled,
  "run.steering": steeringSaid,
  "run.control": controlMoved,
  "conversation.updated": (state, frame) => {
    const fields = frame.conversation ?? rest(frame);
    if (!state.conversation || (fields.id && fields.id !== state.conversation.id)) return state;
    return { ...state, conversation: { ...state.conversation, ...fields } };
  },
  "draft.opened": (state, frame) => (isHere(state, frame) ? { ...state, draft: draftOf(frame.draft) } : state),
  "draft.closed": (state, frame) => (state.draft?.id === frame.draftId ? { ...state, draft: null } : state),
  "presence.changed": presenceChanged,
  "cursor.moved": (state, frame) => ({
    ...state,
    cursors: { ...state.cursors, [frame.userId]: { cursor: frame.cursor ?? null, selection: frame.selection ?? null, typing: Boolean(frame.typing), since: frame.since ?? null, at: frame.at ?? 0 } },
  }),
  "activity.recorded": (state, frame) => {
    // Its own id and conversation are fields of the frame: `rest` would drop them, and all but the first.
    const { type: _type, ...told } = frame;
    const activity = frame.activity ?? told;
    if (state.activities.some((known) => known.id === activity.id)) return state;
    return { ...state, activities: [activity, ...state.activities].slice(0, state.activitiesKept) };
  },
  "usage.updated": (state, frame) => ({ ...state, usage: { ...state.usage, ...(frame.usage ?? rest(frame)) } }),
  error: (state, frame) => ({ ...state, error: { code: frame.code, message: frame.message, id: frame.id ?? null } }),
  "local.error-cleared": (state) => (state.error ? { ...state, error: null } : state),
  "local.agents": (state, frame) => ({ ...state, agents: frame.agents }),
  "local.activities": activitiesRead,
  "local.activities-earlier": activitiesEarlier,
  "local.choose": (state, frame) => ({ ...state, choices: { ...state.choices, [frame.fork]: frame.messageId } }),
  "local.earlier": earlierLoaded,
  "local.branch": branchLoaded,
  "local.pending": (state, frame) => ({ ...state, pending: [...state.pending.filter((one) => one.clientId !== frame.message.clientId), frame.message] }),
  "local.pending-failed": (state, frame) => ({
    ...state,
    pending: state.pending.map((one) => (one.clientId === frame.clientId ? { ...one, status: "failed", error: frame.error } : one)),
  }),
  "local.pending-dropped": (state, frame) => ({ ...state, pending: state.pending.filter((one) => one.clientId !== frame.clientId) }),
};

function rest(frame) {
  const { type: _type, id: _id, conversationId: _conversationId, ...fields } = frame;
  return fields;
}

/**
 * The newest part of the conversation, at the start and after every reconnect. What the page already drew of a live
 * run stays: the missing chunks follow, and their seqs decide. Earlier parts stay where the new part joins them.
 */
function subscribed(state, frame) {
  const told = messagesOf(frame);
  const earlier = earlierKept(state, frame, told);
  const kept = { ...earlier, ...told };
  const next = {
    ...state,
    conversation: frame.conversation ?? state.conversation,
    messages: kept,
    runs: runsWith(state, frame),
    approvals: approvalsWith(state, frame.approvals),
    steerings: Object.fromEntries((frame.steerings ?? []).map((one) => [one.messageId, one])),
    earlier: earlier ? state.earlier : (frame.earlier ?? null),
    unloaded: [...new Set([...(earlier ? state.unloaded : []), ...(frame.unloaded ?? [])])],
    totals: frame.totals ?? state.totals,
    members: frame.members ?? state.members,
    draft: draftOf(frame.draft),
    presence: frame.presence ? toUsers(frame.presence) : state.presence,
    choices: followNewest(state, kept),
  };
  return { ...next, pending: settlePending(next) };
}

/**
 * Who is here. The cursor of somebody who is not in this conversation any more, or came back to it, is nowhere: the
 * socket that told it was there before the oldest that is left. (Which is not to say that a list with another `since`
 * ends it: where an older tab was closed, the list may come behind what the other tab told already.)
 */
function presenceChanged(state, frame) {
  const presence = toUsers(frame.users);
  const here = new Map(presence.filter((user) => user.conversationId === state.conversation?.id).map((user) => [user.userId, user.since]));
  const stayed = (userId, { since }) => here.has(userId) && !(since < here.get(userId));
  const cursors = Object.fromEntries(Object.entries(state.cursors).filter(([userId, cursor]) => stayed(userId, cursor)));
  return { ...state, presence, cursors };
}

function isHere(state, frame) {
  return Boolean(state.conversation) && frame.conversationId === state.conversation.id;
}

/** That there is a draft and who began it; its text is kept by those who write it. */
function draftOf(told) {
  return told ? { id: told.id, openedBy: told.openedBy } : null;
}

function messagesOf(frame) {
  return Object.fromEntries((frame.messages ?? []).map(toMessage).map((message) => [message.id, message]));
}

function runsWith(state, frame) {
  const runs = { ...state.runs };
  for (const wire of frame.runs ?? []) {
    const run = toRun(wire);
    runs[run.id] = mergeRun(runs[run.id], run);
  }
  return runs;
}

/** A decision is final: an older telling of a call does not open it again. */
function approvalsWith(state, told) {
  const approvals = { ...state.approvals };
  for (const one of told ?? []) {
    const known = approvals[one.toolId];
    if (!known || known.status === "open" || one.status !== "open") approvals[one.toolId] = one;
  }
  return approvals;
}

function withApprovals(state, told) {
  const here = told.filter((one) => one && (!state.conversation || one.conversationId === state.conversation.id));
  return here.length ? { ...state, approvals: approvalsWith(state, here) } : state;
}

/** Words for a running agent; when it hears them they are a message. */
function steeringSaid(state, { type: _type, ...said }) {
  if (said.conversationId !== state.conversation?.id || state.messages[said.messageId]) return state;
  return { ...state, steerings: { ...state.steerings, [said.messageId]: said } };
}

/** Control moves with its token: an older telling changes nothing. */
function controlMoved(state, { runId, controlledBy, controlFence }) {
  const run = state.runs[runId];
  if (!run || controlFence <= (run.controlFence ?? 0)) return state;
  return { ...state, runs: { ...state.runs, [runId]: { ...run, controlledBy: controlledBy?.id ?? null, controlFence } } };
}

/** Somebody found out what became of a call of unknown outcome. */
function callSettled(state, { call }) {
  const run = state.runs[call?.runId];
  if (!run) return state;
  const items = run.items.map((item) => (item.kind === "tool" && item.toolId === call.toolId ? { ...item, call: { ...item.call, status: call.status, result: call.result, error: call.error ?? undefined } } : item));
  return { ...state, runs: { ...state.runs, [run.id]: { ...run, items } } };
}

/** What was read back before, if the newest part goes on from it without a hole. */
function earlierKept(state, frame, told) {
  const first = frame.earlier ? told[frame.earlier.before] : null;
  if (!first || state.conversation?.id !== frame.conversation?.id) return null;
  if (!state.messages[first.id] && !state.messages[first.parentId]) return null;
  return Object.fromEntries(Object.entries(state.messages).filter(([, message]) => placeOf(message) < placeOf(first)));
}

function placeOf(message) {
  return message.number ?? Date.parse(message.createdAt) ?? 0;
}

/** What happened lately, read anew; what was told while it was on its way is newer and stays. */
function activitiesRead(state, frame) {
  const known = new Set(frame.activities.map(({ id }) => id));
  const newest = frame.activities[0]?.createdAt ?? "";
  const newer = state.activities.filter((one) => !known.has(one.id) && one.createdAt >= newest);
  // What was read back stays where the new part joins it without a hole.
  const oldest = frame.activities.at(-1);
  const joins = oldest && state.activities.some(({ id }) => id === oldest.id);
  const older = joins ? state.activities.slice(state.activities.findIndex(({ id }) => id === oldest.id) + 1) : [];
  return { ...state, activities: [...newer, ...frame.activities, ...older].slice(0, state.activitiesKept) };
}

/** What stands before the activities that are here. */
function activitiesEarlier(state, frame) {
  const known = new Set(state.activities.map(({ id }) => id));
  const activities = [...state.activities, ...frame.activities.filter(({ id }) => !known.has(id))];
  return { ...state, activities, activitiesKept: activities.length + 50 };
}

/** The part before what is here. At its forks the reader stays on the line that led to it. */
function earlierLoaded(state, frame) {
  const messages = { ...messagesOf(frame), ...state.messages };
  return {
    ...state,
    messages,
    runs: runsWith(state, frame),
    approvals: approvalsWith(state, frame.approvals),
    earlier: frame.earlier ?? null,
    unloaded: [...new Set([...state.unloaded, ...(frame.unloaded ?? [])])],
    choices: { ...choicesAlong(frame.line, messages), ...state.choices },
  };
}

/** Another branch, which was too long to come along: its newest part takes the place of what was shown. */
function branchLoaded(state, frame) {
  const messages = messagesOf(frame);
  return {
    ...state,
    messages,
    runs: runsWith(state, frame),
    approvals: approvalsWith(state, frame.approvals),
    earlier: frame.earlier ?? null,
    unloaded: frame.unloaded ?? [],
    choices: choicesAlong(frame.line, messages),
  };
}

function choicesAlong(line, messages) {
  return Object.fromEntries((line ?? []).filter((id) => messages[id]).map((id) => [forkKey(messages[id]), id]));
}

function feedbackGiven(state, frame) {
  const message = state.messages[frame.messageId];
  return message ? { ...state, messages: { ...state.messages, [message.id]: { ...message, feedback: frame.feedback } } } : state;
}

/** A run as the server describes it, laid over what its chunks already told. */
function mergeRun(known, told) {
  if (!known) return newRun(told.id, told);
  const merged = { ...known };
  for (const [key, value] of Object.entries(told)) {
    if (value !== null && value !== undefined && (merged[key] === null || merged[key] === undefined)) merged[key] = value;
  }
  // The run's record may say "complete" while its last chunks are still on their way: then the chunks decide.
  // A run of which no chunk was ever shown here has only its record.
  if (known.lastSeq === 0 && told.status) merged.status = told.status;
  else if (TERMINAL.has(told.status) && told.storedSeq && known.lastSeq >= told.storedSeq) merged.status = told.status;
  if ((told.controlFence ?? 0) > (known.controlFence ?? 0)) Object.assign(merged, { controlledBy: told.controlledBy, controlFence: told.controlFence });
  merged.storedSeq = told.storedSeq ?? known.storedSeq ?? 0;
  merged.superseded = told.superseded ?? known.superseded ?? false;
  return merged;
}

function chunk(state, frame) {
  const known = state.runs[frame.runId] ?? newRun(frame.runId, { conversationId: frame.conversationId });
  if (state.conversation && frame.conversationId && frame.conversationId !== state.conversation.id) return state;
  const run = applyChunk(known, frame.seq, frame.chunk);
  return run === known ? state : { ...state, runs: { ...state.runs, [run.id]: run } };
}

function messageCreated(state, frame) {
  const message = toMessage(frame.message ?? frame);
  if (!message.id) return state;
  if (state.conversation && message.conversationId && message.conversationId !== state.conversation.id) return state;
  const messages = { ...state.messages, [message.id]: { ...state.messages[message.id], ...message } };
  const isNew = !state.messages[message.id];
  const { [message.id]: _heard, ...steerings } = state.steerings;
  const next = { ...state, messages, steerings: _heard ? steerings : state.steerings, choices: isNew ? followNewest(state, messages) : state.choices };
  return { ...next, pending: settlePending(next) };
}

/** A new branch is shown when it appears: the reader's earlier choice at that fork is forgotten. */
function followNewest(state, messages) {
  const forks = new Set();
  for (const message of Object.values(messages)) {
    if (!state.messages[message.id]) forks.add(forkKey(message));
  }
  const choices = {};
  for (const [fork, id] of Object.entries(state.choices)) {
    if (!forks.has(fork) && messages[id]) choices[fork] = id;
  }
  return choices;
}

/** The name of the place where a message has alternatives: its parent and its role. */
export function forkKey(message) {
  return `${message.parentId ?? "root"}:${message.role}`;
}

function settlePending(state) {
  return state.pending.filter((one) => !(one.messageId && state.messages[one.messageId]) && !(one.regenerateMessageId && one.runId && state.runs[one.runId]));
}

function runAccepted(state, frame) {
  const conversation = state.conversation ?? (frame.conversationId ? { id: frame.conversationId, title: "" } : null);
  const known = state.runs[frame.runId];
  const run = known ?? newRun(frame.runId, { conversationId: frame.conversationId });
  const sent = state.pending.find((one) => one.clientId === frame.clientId);
  const runs = {
    ...state.runs,
    [run.id]: {
      ...run,
      promptId: run.promptId ?? frame.messageId ?? null,
      agentId: run.agentId ?? frame.agentId ?? sent?.agentId ?? null,
    },
  };
  const pending = state.pending.map((one) =>
    one.clientId === frame.clientId ? { ...one, status: "accepted", messageId: frame.messageId, runId: frame.runId } : one,
  );
  const next = replaced({ ...state, conversation, runs, pending }, frame.resumedFrom);
  return { ...next, pending: settlePending(next) };
}

function withRun(state, frame, status) {
  const told = toRun(frame.run ?? frame);
  if (!told.id) return state;
  if (state.conversation && told.conversationId && told.conversationId !== state.conversation.id) return state;
  const known = state.runs[told.id];
  const run = mergeRun(known, { ...told, status });
  if (known && status === "running" && known.status === "queued") run.status = "running";
  return replaced({ ...state, runs: { ...state.runs, [run.id]: run } }, told.resumedFrom);
}

/** A run that goes on where another was cut takes its place: the old answer is not shown any more, unless
 * somebody wrote below it; then it stays, as another branch. */
function replaced(state, runId) {
  const old = runId ? state.runs[runId] : null;
  if (!old || old.superseded) return state;
  const answers = Object.values(state.messages).filter((message) => message.role === "assistant" && message.runId === runId);
  if (Object.values(state.messages).some((message) => answers.some((answer) => message.parentId === answer.id))) return state;
  const messages = { ...state.messages };
  for (const message of Object.values(state.messages)) if (message.role === "assistant" && message.runId === runId) messages[message.id] = { ...message, superseded: true };
  return { ...state, messages, runs: { ...state.runs, [runId]: { ...old, superseded: true } } };
}

/** The doorbell after a run's end. The terminal chunk is the truth; this fills in what only the record knows. */
function runFinished(state, frame) {
  const told = toRun(frame.run ?? frame);
  const known = state.runs[told.id];
  if (!known) return state;
  const run = mergeRun(known, told);
  if (isLive(run) && run.lastSeq === 0) run.status = told.status ?? run.status;
  return { ...state, runs: { ...state.runs, [run.id]: run } };
}
