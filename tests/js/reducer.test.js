import assert from "node:assert/strict";
import { test } from "node:test";

import { forkKey, initialState, reduce } from "../../static/nexus/client/reducer.js";
import { currentRun, entryText, messageItems, thread, waterfall } from "../../static/nexus/client/thread.js";

const at = (n) => `2026-11-20T14:00:${String(n).padStart(2, "0")}Z`;
const question = (id, n, parentId = null, content = `question ${id}`) => ({ id, role: "user", content, parentId, createdAt: at(n), author: { id: "u1", name: "Maya" } });
const answer = (id, n, parentId, runId, content = `answer ${id}`) => ({ id, role: "assistant", content, parentId, runId, createdAt: at(n), author: { id: "demo", name: "Demo" } });
const opened = (fields = {}) => reduce(initialState(), { type: "subscribed", conversation: { id: "c1", title: "T" }, messages: [], runs: [], members: [], presence: [], ...fields });
const play = (frames, state = opened()) => frames.reduce(reduce, state);
const chunk = (runId, seq, type, data) => ({ type: "chunk", runId, conversationId: "c1", seq, chunk: { type, data, timestamp: 1_700_000_000_000 + seq } });
const started = (runId, messageId) => chunk(runId, 1, "metadata", { status: "started", runId, conversationId: "c1", agentId: "demo", messageId: `a-${runId}`, questionId: messageId });
const keys = (state) => thread(state).map((entry) => entry.key);

test("it shows a message, then its answer while it is written, then the stored answer in the same place", () => {
  let state = play([{ type: "message.created", message: question("m1", 1) }, started("r1", "m1"), chunk("r1", 2, "content", "Hel")]);
  assert.deepEqual(keys(state), ["message:m1", "run:r1"]);
  assert.equal(entryText(thread(state)[1]), "Hel");
  state = play([chunk("r1", 3, "content", "lo"), { type: "message.created", message: answer("m2", 2, "m1", "r1", "Hello") }, chunk("r1", 4, "metadata", { status: "complete", messageId: "m2" })], state);
  assert.deepEqual(keys(state), ["message:m1", "run:r1"], "the key is the run's, so its element stays");
  assert.equal(thread(state)[1].message.id, "m2");
});

test("it keeps what was written when the connection comes back", () => {
  const live = play([{ type: "message.created", message: question("m1", 1) }, started("r1", "m1"), chunk("r1", 2, "content", "Hel")]);
  const again = reduce(live, { type: "subscribed", conversation: { id: "c1" }, messages: [question("m1", 1)], runs: [{ id: "r1", status: "running", messageId: "m1", lastSeq: 7 }] });
  assert.equal(again.runs.r1.lastSeq, 2);
  const done = play([3, 4].map((seq) => chunk("r1", seq, "content", ".")), again);
  assert.equal(entryText(thread(done)[1]), "Hel..");
});

test("it starts a live run that it meets for the first time at its first chunk", () => {
  const state = opened({ messages: [question("m1", 1)], runs: [{ id: "r1", status: "running", messageId: "m1", lastSeq: 7 }] });
  assert.equal(state.runs.r1.lastSeq, 0);
  assert.equal(state.runs.r1.storedSeq, 7);
  assert.equal(entryText(thread(play([started("r1", "m1"), chunk("r1", 2, "content", "Hi")], state))[1]), "Hi");
});

test("it does not call a run finished before its last chunk was drawn", () => {
  const live = play([{ type: "message.created", message: question("m1", 1) }, started("r1", "m1"), chunk("r1", 2, "content", "Hel")]);
  const told = reduce(live, { type: "run.finished", runId: "r1", status: "complete", tokenUsage: { total: 9 } });
  assert.equal(told.runs.r1.status, "running");
  const ended = reduce(told, chunk("r1", 3, "metadata", { status: "complete" }));
  assert.equal(ended.runs.r1.status, "complete");
});

test("it ignores chunks and messages of another conversation", () => {
  const state = opened();
  assert.equal(reduce(state, { ...chunk("r9", 1, "content", "x"), conversationId: "c2" }), state);
  assert.equal(reduce(state, { type: "message.created", message: { ...question("m9", 1), conversationId: "c2" } }), state);
});

test("it ignores a frame whose type it does not know", () => {
  const state = opened();
  assert.equal(reduce(state, { type: "weather.changed" }), state);
});

test("it shows the newest branch, and another one on demand", () => {
  const messages = [question("m1", 1), answer("m2", 2, "m1", "r1"), question("m3", 3, null), answer("m4", 4, "m3", "r2")];
  let state = opened({ messages });
  assert.deepEqual(keys(state), ["message:m3", "run:r2"]);
  const fork = thread(state)[0].branches;
  assert.deepEqual([fork.index, fork.count, fork.ids], [1, 2, ["m1", "m3"]]);
  state = reduce(state, { type: "local.choose", fork: fork.fork, messageId: "m1" });
  assert.deepEqual(keys(state), ["message:m1", "run:r1"]);
  state = reduce(state, { type: "message.created", message: question("m5", 5, null) });
  assert.deepEqual(keys(state), ["message:m5"], "a new branch is shown when it appears");
});

test("it shows the branch in which something was written last", () => {
  const messages = [question("m1", 1), answer("m2", 2, "m1", "r1"), question("m3", 3), answer("m4", 4, "m3", "r2"), question("m5", 5, "m2")];
  assert.deepEqual(keys(opened({ messages })), ["message:m1", "run:r1", "message:m5"]);
});

test("it takes regenerated answers for branches, and people and agents at one place for no alternatives", () => {
  const state = opened({ messages: [question("m1", 1), answer("m2", 2, "m1", "r1"), answer("m3", 3, "m1", "r2"), question("m4", 4, "m1")] });
  assert.deepEqual(keys(state), ["message:m1", "run:r2", "message:m4"]);
  assert.equal(thread(state)[1].branches.fork, forkKey({ parentId: "m1", role: "assistant" }));
});

test("it leaves an answer at its question when something was asked meanwhile", () => {
  const messages = [question("m1", 1), { ...question("m2", 2, "m1"), author: { id: "u2", name: "Bob" } }, answer("m3", 3, "m1", "r1"), answer("m4", 4, "m2", "r2")];
  assert.deepEqual(keys(opened({ messages })), ["message:m1", "run:r1", "message:m2", "run:r2"]);
});

test("it takes the beginning of a later page for a sequence, not for branches", () => {
  const state = opened({ messages: [answer("m8", 1, "not-loaded", "r1"), question("m9", 2, "m8")] });
  assert.deepEqual(keys(state), ["run:r1", "message:m9"]);
});

test("it shows a resumed run in the place of the one that was cut", () => {
  const cut = opened({ messages: [{ ...question("m1", 1), runId: "r1" }, answer("m2", 2, "m1", "r1", "Half an")], runs: [{ id: "r1", status: "cancelled", messageId: "m1" }] });
  const state = reduce(cut, { type: "run.queued", runId: "r2", conversationId: "c1", run: { id: "r2", conversationId: "c1", messageId: "m1", resumedFrom: "r1" } });
  assert.deepEqual(keys(state), ["message:m1", "run:r2"]);
  const done = reduce(state, { type: "message.created", message: answer("m3", 3, "m1", "r2", "Half an answer.") });
  assert.equal(thread(done)[1].branches, null);
});

test("it keeps the answer that was cut as a branch when somebody has written below it", () => {
  const cut = opened({ messages: [{ ...question("m1", 1), runId: "r1" }, answer("m2", 2, "m1", "r1", "Half an"), question("m3", 3, "m2")], runs: [{ id: "r1", status: "failed", messageId: "m1" }] });
  const state = reduce(cut, { type: "run.queued", runId: "r2", conversationId: "c1", run: { id: "r2", conversationId: "c1", messageId: "m1", resumedFrom: "r1" } });
  assert.equal(state.messages.m2.superseded ?? false, false);
  const done = reduce(state, { type: "message.created", message: answer("m4", 4, "m1", "r2", "Half an answer.") });
  assert.equal(done.messages.m2.superseded ?? false, false);
});

test("it hides what was rolled back", () => {
  const state = opened({ messages: [{ ...question("m1", 1), superseded: true }, question("m3", 3)] });
  assert.deepEqual(keys(state), ["message:m3"]);
});

test("it shows a message at once, and takes it for sent when the server has it", () => {
  const message = { clientId: "k1", text: "Hi", status: "sending", at: 1, agentId: "demo" };
  let state = reduce(opened(), { type: "local.pending", message });
  assert.deepEqual(keys(state), ["pending:k1"]);
  state = reduce(state, { type: "run.accepted", clientId: "k1", runId: "r1", conversationId: "c1", messageId: "m1" });
  assert.equal(state.runs.r1.agentId, "demo");
  state = reduce(state, { type: "message.created", message: question("m1", 1, null, "Hi") });
  assert.deepEqual(keys(state), ["message:m1", "run:r1"].slice(0, keys(state).length));
  assert.equal(state.pending.length, 0);
});

test("it takes a message for sent also when the server's message comes first", () => {
  const message = { clientId: "k1", text: "Hi", status: "sending", at: 1 };
  const state = play(
    [{ type: "local.pending", message }, { type: "message.created", message: question("m1", 1) }, { type: "run.accepted", clientId: "k1", runId: "r1", conversationId: "c1", messageId: "m1" }],
    opened(),
  );
  assert.equal(state.pending.length, 0);
});

test("it shows an edited message in the place of the old one while it is on its way", () => {
  const state = opened({ messages: [question("m1", 1), answer("m2", 2, "m1", "r1")] });
  const message = { clientId: "k1", text: "Other", status: "sending", at: 1, parentMessageId: null, replaces: "m1" };
  assert.deepEqual(keys(reduce(state, { type: "local.pending", message })), ["pending:k1"]);
});

test("it keeps a refused message with its reason", () => {
  const message = { clientId: "k1", text: "Hi", status: "sending", at: 1 };
  const state = play([{ type: "local.pending", message }, { type: "local.pending-failed", clientId: "k1", error: { code: "run_in_progress", message: "Still answering." } }], opened());
  assert.equal(thread(state)[0].pending.error.code, "run_in_progress");
});

test("it puts a regenerated answer in the place of the old one while it is written", () => {
  const state = play([started("r2", "m1"), chunk("r2", 2, "content", "New")], opened({ messages: [question("m1", 1), answer("m2", 2, "m1", "r1")] }));
  assert.deepEqual(keys(state), ["message:m1", "run:r2"]);
});

test("it names the live run as the current one, else the newest", () => {
  const state = opened({ runs: [{ id: "r1", status: "complete", createdAt: at(1) }, { id: "r2", status: "running", createdAt: at(2) }, { id: "r3", status: "complete", createdAt: at(3) }] });
  assert.equal(currentRun(state).id, "r2");
  assert.equal(currentRun(state, "r1").id, "r1");
});

test("it lays steps and tools on one time axis", () => {
  const stamp = (ms) => 1_700_000_000_000 + ms;
  const timed = (seq, ms, type, data) => ({ type: "chunk", runId: "r1", conversationId: "c1", seq, chunk: { type, data, timestamp: stamp(ms) } });
  const state = play([
    timed(1, 0, "metadata", { status: "started", questionId: "m1" }),
    timed(2, 100, "reasoning", "Hm"),
    timed(3, 500, "tool_call", { toolId: "t1", toolName: "search_messages", status: "RUNNING", input: {} }),
    timed(4, 700, "tool_call", { toolId: "t1", toolName: "search_messages", status: "COMPLETED", input: {}, result: [] }),
    timed(5, 900, "content", "Found"),
  ]);
  const { rows, start, end } = waterfall(state.runs.r1, stamp(1000));
  assert.deepEqual(rows.map((row) => [row.label, row.state, row.start - start, row.end === null ? null : row.end - start]), [
    ["Step 1, model call", "COMPLETED", 0, 500],
    ["search_messages", "COMPLETED", 500, 700],
    ["Step 2, writing", "RUNNING", 700, null],
  ]);
  assert.equal(end - start, 1000);
});

test("it draws a stored message from its parts", () => {
  const items = messageItems({ createdAt: at(1), content: "Done.", parts: [{ type: "reasoning", text: "Hm", durationMs: 4000 }, { type: "tool_call", toolId: "t1", toolName: "x", status: "COMPLETED" }, { type: "text", text: "Done." }] });
  assert.deepEqual(items.map((item) => item.kind), ["reasoning", "tool", "text"]);
  assert.equal(items[0].endedAt - items[0].startedAt, 4000);
});

test("it keeps fifty activities, newest first, each once", () => {
  const state = play(Array.from({ length: 120 }, (_, n) => ({ type: "activity.recorded", activity: { id: `a${Math.floor(n / 2)}`, activityType: "user-joined" } })));
  assert.equal(state.activities.length, 50);
  assert.equal(state.activities[0].id, "a59");
});

test("it tells activities apart that come as frames of their own", () => {
  const state = play(["a", "b", "a"].map((id) => ({ type: "activity.recorded", id, activityType: "asked", conversationId: "c9" })));
  assert.deepEqual(state.activities.map(({ id, conversationId }) => [id, conversationId]), [["b", "c9"], ["a", "c9"]]);
});

test("it keeps what was told while the feed was on its way, and takes the rest from there", () => {
  const at = (id, second) => ({ id, activityType: "asked", createdAt: `2026-11-20T10:00:0${second}.000Z` });
  const told = play([at("old", 1), at("both", 3), at("new", 5)].map((one) => ({ ...one, type: "activity.recorded" })));
  const state = reduce(told, { type: "local.activities", activities: [at("both", 3), at("missed", 2)] });
  assert.deepEqual(state.activities.map(({ id }) => id), ["new", "both", "missed"]);
});

/** Question, answer, question … under one another, from number `from` to `to`. */
const chain = (from, to) => Array.from({ length: to - from + 1 }, (_, n) => from + n).map((n) => (n % 2 ? question(`m${n}`, n, n > 1 ? `m${n - 1}` : null) : answer(`m${n}`, n, `m${n - 1}`, `r${n}`)));
const part = (from, to) => ({ messages: chain(from, to), line: chain(from, to).map((one) => one.id), earlier: from > 1 ? { before: `m${from}`, count: from - 1 } : null });
const shownIds = (state) => thread(state).map((entry) => entry.message.id);

test("it reads back part by part, and keeps what was read over a reconnect", () => {
  let state = opened(part(41, 60));
  assert.equal(state.earlier.count, 40);
  state = reduce(state, { type: "local.earlier", ...part(21, 40) });
  assert.deepEqual(shownIds(state), chain(21, 60).map((one) => one.id));
  state = reduce(state, { type: "subscribed", conversation: state.conversation, ...part(43, 62) });
  assert.deepEqual(shownIds(state), chain(21, 62).map((one) => one.id));
  assert.equal(state.earlier.before, "m21");
  state = reduce(state, { type: "subscribed", conversation: state.conversation, ...part(101, 120) });
  assert.deepEqual(shownIds(state), chain(101, 120).map((one) => one.id), "what is missing between is not hidden");
  assert.equal(state.earlier.before, "m101");
});

test("it stays on the reader's branch when earlier messages bring another one along", () => {
  let state = opened(part(41, 60));
  const earlier = part(21, 40);
  earlier.messages.push(question("other", 99, "m30"));
  state = reduce(state, { type: "local.earlier", ...earlier });
  assert.deepEqual(shownIds(state), chain(21, 60).map((one) => one.id));
  assert.equal(thread(state).find((entry) => entry.message.id === "m31").branches.count, 2);
});

test("it takes two versions of the first loaded question for alternatives", () => {
  const state = opened({ ...part(41, 44), messages: [...chain(41, 44), question("again", 45, "m40")] });
  assert.deepEqual(shownIds(state), ["again"]);
  assert.equal(thread(state)[0].branches.count, 2);
});

test("it shows another branch that was loaded on demand", () => {
  const state = reduce(opened(part(41, 60)), { type: "local.branch", ...part(1, 4) });
  assert.deepEqual(shownIds(state), ["m1", "m2", "m3", "m4"]);
  assert.equal(state.earlier, null);
});

test("it keeps what was asked below an answer that was made again", () => {
  const messages = [question("m1", 1), { ...answer("m2", 2, "m1", "r1"), superseded: true }, question("m3", 3, "m2"), answer("m4", 4, "m3", "r2"), answer("m5", 5, "m1", "r3")];
  assert.deepEqual(shownIds(opened({ messages })), ["m1", "m5", "m3", "m4"]);
});

test("it keeps what a person thinks of an answer when the answer is told again", () => {
  let state = opened({ messages: [question("m1", 1), answer("m2", 2, "m1", "r1")] });
  state = reduce(state, { type: "message.feedback", messageId: "m2", feedback: { rating: "good", comment: "" } });
  state = reduce(state, { type: "message.created", message: answer("m2", 2, "m1", "r1") });
  assert.equal(state.messages.m2.feedback.rating, "good");
  state = reduce(state, { type: "message.feedback", messageId: "m2", feedback: null });
  assert.equal(state.messages.m2.feedback, null);
});

const asked = (status = "open", more = {}) => ({ toolId: "t1", conversationId: "c1", runId: "r1", status, votes: [], ...more });

test("it keeps a decision when an older telling of the call comes behind it", () => {
  let state = play([{ type: "approval.updated", approval: asked() }]);
  assert.equal(state.approvals.t1.status, "open");
  state = play([{ type: "approval.updated", approval: asked("approved") }, { type: "approval.updated", approval: asked() }], state);
  assert.equal(state.approvals.t1.status, "approved");
  assert.equal(reduce(state, { type: "approval.updated", approval: asked("denied", { toolId: "t2", conversationId: "c2" }) }), state);
  assert.equal(reduce(state, { type: "subscribed", conversation: { id: "c1" }, messages: [], runs: [], approvals: [asked()] }).approvals.t1.status, "approved");
});

test("it hangs a steered answer below the words that the agent heard", () => {
  const said = { type: "run.steering", runId: "r1", conversationId: "c1", messageId: "m2", text: "Shorter!", author: { id: "u2", name: "Bob" } };
  let state = play([{ type: "message.created", message: question("m1", 1) }, started("r1", "m1"), chunk("r1", 2, "content", "Long"), said]);
  assert.equal(state.steerings.m2.text, "Shorter!");
  state = play([{ type: "message.created", message: question("m2", 2, "m1", "Shorter!") }, chunk("r1", 3, "metadata", { status: "steered", messageId: "m2" })], state);
  assert.deepEqual(state.steerings, {});
  assert.deepEqual(keys(state), ["message:m1", "message:m2", "run:r1"]);
  assert.equal(reduce(state, said), state, "what was heard is not said again");
});

test("it moves control only forward", () => {
  let state = play([started("r1", "m1"), { type: "run.control", runId: "r1", conversationId: "c1", controlledBy: { id: "u2" }, controlFence: 2 }]);
  state = reduce(state, { type: "run.control", runId: "r1", conversationId: "c1", controlledBy: { id: "u1" }, controlFence: 1 });
  assert.deepEqual([state.runs.r1.controlledBy, state.runs.r1.controlFence], ["u2", 2]);
});

test("the feed is read back without a hole, and what comes meanwhile stays above", () => {
  const made = (n) => ({ id: `a${n}`, activityType: "asked", createdAt: at(n % 60) });
  let state = reduce(initialState(), { type: "local.activities", activities: [30, 29].map(made) });
  state = reduce(state, { type: "activity.recorded", ...made(31) });
  state = reduce(state, { type: "local.activities-earlier", activities: [30, 29, 28, 27].map(made) });
  assert.deepEqual(state.activities.map(({ id }) => id), ["a31", "a30", "a29", "a28", "a27"]);
  // Read anew after a break: what was read back stays.
  state = reduce(state, { type: "local.activities", activities: [32, 31, 30].map(made) });
  assert.deepEqual(state.activities.map(({ id }) => id), ["a32", "a31", "a30", "a29", "a28", "a27"]);
});

test("the cursor of somebody who went away and came back is nowhere", () => {
  const user = (since, conversationId = "c1") => ({ userId: "u2", name: "Bob", kind: "person", conversationId, since });
  let state = opened({ presence: [user("1")] });
  state = reduce(state, { type: "cursor.moved", userId: "u2", selection: { start: 1, end: 1 }, typing: true, since: "1" });
  state = reduce(state, { type: "presence.changed", users: [user("1")] });
  assert.equal(state.cursors.u2.selection.start, 1);
  assert.equal(reduce(state, { type: "presence.changed", users: [user("2")] }).cursors.u2, undefined);
  assert.equal(reduce(state, { type: "presence.changed", users: [user("1", "c2")] }).cursors.u2, undefined);
});

test("the cursor of somebody whose older tab was closed stays, though the list that says so comes later", () => {
  const user = (since) => ({ userId: "u2", name: "Bob", kind: "person", conversationId: "c1", since });
  let state = opened({ presence: [user("1")] });
  state = reduce(state, { type: "cursor.moved", userId: "u2", selection: { start: 1, end: 1 }, typing: false, since: "2" });
  state = reduce(state, { type: "presence.changed", users: [user("2")] });
  assert.equal(state.cursors.u2.selection.start, 1);
});
