/** How an answer stands, in words. */
import assert from "node:assert/strict";
import test from "node:test";

import { newRun } from "../../static/nexus/client/run.js";
import { ending, isCut, progressOf, standing } from "../../static/nexus/elements/standing.js";

const message = { id: "m2", parts: [{ type: "text", text: "Half" }], content: "Half" };
const entry = (run, more = {}) => ({ from: "assistant", pending: null, message, run: newRun("r1", run), ...more });
const actions = (lines) => lines.flatMap((line) => (line.actions ?? []).map(([action]) => action));

test("it tells how far a run of several steps is, and nothing of one of a single step", () => {
  const at = (progress, status = "running") => progressOf(newRun("r1", { status, progress }));
  assert.equal(at(null), null);
  assert.equal(at({ currentStep: 1, tokensUsed: 115 }), null);
  assert.equal(at({ currentStep: 1, totalSteps: 1 }), null);
  assert.deepEqual(at({ currentStep: 3, totalSteps: 8 }), { part: 0.375, words: "3 of 8 steps" });
  assert.deepEqual(at({ currentStep: 3, totalSteps: 8, percentage: 40, estimatedTimeRemaining: 130, message: "Reading" }), { part: 0.4, words: "Reading · 3 of 8 steps · about 2 min left" });
  assert.equal(at({ currentStep: 2, totalSteps: null, percentage: null, estimatedTimeRemaining: null }), null);
  assert.deepEqual(at({ percentage: 140 }), { part: 1, words: "100 %" });
  assert.equal(at({ currentStep: 3, totalSteps: 8 }, "complete"), null);
});

test("it offers to go on with what was written, and to try again where nothing was", () => {
  const nothing = { message: { ...message, parts: [], content: "" } };
  assert.deepEqual(actions(ending(entry({ status: "cancelled" }))), ["resume"]);
  assert.deepEqual(actions(ending(entry({ status: "cancelled" }, nothing))), ["regenerate"]);
  assert.deepEqual(actions(ending(entry({ status: "failed" }))), ["resume", "regenerate"]);
  assert.deepEqual(actions(ending(entry({ status: "failed" }, nothing))), ["regenerate"]);
});

test("it says who stopped an answer, as far as the page knows them", () => {
  const names = { "user-1": "Alice" };
  const word = (cancelledBy) => ending(entry({ status: "cancelled", cancelledBy }), { nameOf: (id) => names[id] ?? "" })[0].word;
  assert.deepEqual([word("user-1"), word("user-2"), word(null)], ["Stopped by Alice", "Stopped", "Stopped"]);
});

test("it lets the last answer go on where its length cut it, once", () => {
  const cut = entry({ status: "complete", stopReason: "length" });
  assert.equal(isCut(cut.run), true);
  assert.deepEqual(actions(ending(cut, { last: true })), ["continue"]);
  assert.deepEqual(ending(cut, { last: false }).map((line) => [line.word, line.actions]), [["Cut by its length", []]]);
  assert.deepEqual(ending(cut, { continued: true }), []);
  assert.deepEqual(ending(entry({ status: "complete", stopReason: "end" }), { last: true }), []);
});

test("it offers an answer to a question that has none", () => {
  const question = { from: "user", pending: null, run: null, message: { ...message, role: "user" } };
  assert.deepEqual(ending(question, {}), []);
  const [line] = ending(question, { unanswered: true, answerer: "Demo Agent" });
  assert.deepEqual([line.word, line.actions], ["No answer yet", [["regenerate", "Ask Demo Agent"]]]);
});

test("it says what a live answer does", () => {
  assert.equal(standing(entry({ status: "running", items: [{ kind: "text", text: "x" }], lastSeq: 2 }), 0).word, "Answering");
  assert.equal(standing(entry({ status: "queued" }), 0).word, "Queued");
});

test("a run that a budget ended says so, and who can do something about it", () => {
  const run = { status: "failed", error: { code: "budget_exceeded", message: "The budget “Team” has no room for this any more (today). Nothing was sent." } };
  assert.deepEqual([standing(entry(run), 0).kind, standing(entry(run), 0).word], ["warn", "Out of budget"]);
  const [admin] = ending(entry(run), { role: "owner" });
  assert.deepEqual([admin.kind, admin.word, admin.actions[0]], ["warn", "Out of budget", ["budgets", "Change budgets"]]);
  assert.match(admin.text, /“Team”.*Raise it/);
  const [member] = ending(entry(run), { role: "member" });
  assert.deepEqual(member.actions.map(([action]) => action), ["budgets", "resume", "regenerate"]);
  assert.match(member.text, /An admin can raise it/);
  const [unknown] = ending(entry({ status: "failed", error: { code: "price_unknown", message: "Nobody knows." } }), { role: "member" });
  assert.deepEqual([unknown.word, unknown.text], ["No price", "Nobody knows."]);
});

test("a live answer tells what it took up to now", () => {
  const run = { status: "running", items: [{ kind: "text", text: "x".repeat(400) }], lastSeq: 2 };
  assert.equal(standing(entry(run), 0).more, "about 100 tokens");
  assert.equal(standing(entry(run), 0, true, { promptTokens: 20, promptCost: "0.01", outputPerMillion: "100" }).more, "about 120 tokens · $0.0200");
});
