import assert from "node:assert/strict";
import { test } from "node:test";

import { applyChunk, isLive, newRun, runText } from "../../static/nexus/client/run.js";

const T0 = 1_700_000_000_000;
const content = (data, at = 0) => ({ type: "content", data, timestamp: T0 + at });
const reasoning = (data, at = 0) => ({ type: "reasoning", data, timestamp: T0 + at });
const meta = (data, at = 0) => ({ type: "metadata", data, timestamp: T0 + at });
const tool = (toolId, status, extra = {}, at = 0) => ({
  type: "tool_call",
  data: { toolId, toolName: "get_token_usage", input: { range: "week" }, status, ...extra },
  timestamp: T0 + at,
});

/** Applies chunks as seq 1, 2, 3 … */
function play(chunks, run = newRun("r1")) {
  return chunks.reduce((now, chunk) => applyChunk(now, now.lastSeq + 1, chunk), run);
}

const STARTED = meta({ status: "started", runId: "r1", conversationId: "c1", agentId: "demo", messageId: "m2", questionId: "m1" });

/** A small generator with a fixed seed, so that a failure can be repeated. */
function randomOf(seed) {
  let x = seed;
  return () => {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0;
    return x / 2 ** 32;
  };
}

function randomRun(random) {
  const chunks = [STARTED];
  const length = 3 + Math.floor(random() * 40);
  for (let i = 0; i < length; i += 1) {
    const dice = random();
    if (dice < 0.5) chunks.push(content(`w${i} `, i));
    else if (dice < 0.6) chunks.push(content({ section: dice < 0.55 ? "headline" : "body", content: `s${i} ` }, i));
    else if (dice < 0.75) chunks.push(reasoning(`t${i} `, i));
    else if (dice < 0.9) chunks.push(tool(`tool-${Math.floor(random() * 3)}`, random() < 0.5 ? "RUNNING" : "COMPLETED", {}, i));
    else chunks.push(meta({ status: "progress", percentage: i }, i));
  }
  return chunks;
}

test("it builds text, reasoning and tool calls in their order", () => {
  const run = play([
    STARTED,
    reasoning("Let me ", 10),
    reasoning("look.", 20),
    tool("t1", "RUNNING", {}, 30),
    tool("t1", "COMPLETED", { result: { tokens: 12 }, durationMs: 40 }, 70),
    content("You used ", 80),
    content("12 tokens.", 90),
    meta({ status: "complete", tokenUsage: { input: 5, output: 4, total: 9 }, cost: { total: "0.0001", currency: "USD" }, durationMs: 90, messageId: "m2" }, 95),
  ]);
  assert.deepEqual(run.items.map((item) => item.kind), ["reasoning", "tool", "text"]);
  assert.equal(run.items[0].text, "Let me look.");
  assert.equal(run.items[0].endedAt, T0 + 30);
  assert.equal(run.items[1].call.status, "COMPLETED");
  assert.deepEqual(run.items[1].call.result, { tokens: 12 });
  assert.equal(runText(run), "You used 12 tokens.");
  assert.equal(run.status, "complete");
  assert.equal(run.answerId, "m2");
  assert.equal(run.agentId, "demo");
  assert.equal(run.promptId, "m1");
  assert.equal(run.firstWordsAt, T0 + 80);
  assert.equal(isLive(run), false);
});

test("it takes a seq that was seen already for nothing", () => {
  const run = play([STARTED, content("one ")]);
  assert.equal(applyChunk(run, 2, content("one ")), run);
  assert.equal(applyChunk(run, 1, STARTED), run);
});

test("it does not apply a chunk behind a hole, and notes the hole", () => {
  const run = play([STARTED, content("one ")]);
  const holed = applyChunk(run, 5, content("five "));
  assert.equal(runText(holed), "one ");
  assert.equal(holed.lastSeq, 2);
  assert.equal(holed.gapAt, 5);
  assert.equal(applyChunk(holed, 4, content("four ")).gapAt, 5, "a nearer one does not hide how far the hole goes");
  const filled = [content("two "), content("three "), content("four ")].reduce((now, chunk) => applyChunk(now, now.lastSeq + 1, chunk), holed);
  assert.equal(filled.gapAt, 0);
  assert.equal(runText(filled), "one two three four ");
});

test("it gives the same run however often, and in whatever overlap, the chunks come", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = randomOf(seed);
    const chunks = randomRun(random);
    const expected = play(chunks);
    let run = newRun("r1");
    while (run.lastSeq < chunks.length) {
      // A delivery begins anywhere (also behind a hole) and has any length; duplicates and gaps are the rule here.
      const from = Math.floor(random() * chunks.length);
      const to = Math.min(chunks.length, from + 1 + Math.floor(random() * 8));
      for (let seq = from + 1; seq <= to; seq += 1) run = applyChunk(run, seq, chunks[seq - 1]);
      if (random() < 0.3) {
        for (let seq = run.lastSeq + 1; seq <= Math.min(chunks.length, run.lastSeq + 5); seq += 1) run = applyChunk(run, seq, chunks[seq - 1]);
      }
    }
    assert.deepEqual({ ...run, gapAt: 0 }, { ...expected, gapAt: 0 }, `seed ${seed}`);
  }
});

test("it withdraws exactly what came after keepSeq when a run is reset", () => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = randomOf(seed * 7919);
    const chunks = randomRun(random);
    const keepSeq = 1 + Math.floor(random() * chunks.length);
    const kept = play(chunks.slice(0, keepSeq));
    const reset = play([meta({ status: "resumed", epoch: 2 }), meta({ status: "reset", keepSeq })], play(chunks));
    const shape = (run) => run.items.map((item) => (item.kind === "tool" ? [item.toolId, item.call.status] : [item.kind, item.section ?? null, item.text]));
    assert.deepEqual(shape(reset), shape(kept), `seed ${seed}`);
    assert.equal(reset.lastSeq, chunks.length + 2);
  }
});

test("it writes on after a reset without doubling text, also after a second one", () => {
  const run = play([
    STARTED,
    content("Step one. "),
    tool("t1", "RUNNING"),
    tool("t1", "COMPLETED", { result: 1 }),
    content("Half of st"),
    meta({ status: "resumed", epoch: 2 }),
    meta({ status: "reset", keepSeq: 4 }),
    content("Half again"),
    tool("t2", "RUNNING"),
    meta({ status: "resumed", epoch: 3 }),
    meta({ status: "reset", keepSeq: 4 }),
    content("Step two."),
  ]);
  assert.equal(runText(run), "Step one. Step two.");
  assert.deepEqual(run.items.map((item) => item.kind), ["text", "tool", "text"]);
  assert.equal(run.items[1].call.status, "COMPLETED");
  assert.equal(run.epoch, 3);
});

test("it lets a tool call fall back to how it stood at keepSeq", () => {
  const run = play([STARTED, tool("t1", "PENDING"), tool("t1", "RUNNING"), tool("t1", "COMPLETED"), meta({ status: "reset", keepSeq: 2 })]);
  assert.equal(run.items[0].call.status, "PENDING");
  assert.equal(run.items[0].endedAt, null);
});

test("it shows that a request is tried again until something arrives", () => {
  const waiting = play([STARTED, meta({ status: "retrying", attempt: 2, delayMs: 2000, code: "rate_limited" })]);
  assert.deepEqual([waiting.notice.kind, waiting.notice.attempt, waiting.notice.delayMs], ["retrying", 2, 2000]);
  assert.equal(play([content("Hello")], waiting).notice, null);
});

test("it keeps a note of a fallback and answers under the new model", () => {
  const run = play([STARTED, meta({ status: "fallback", provider: "openai", model: "gpt-4" }), content("Hello")]);
  assert.equal(run.model, "gpt-4");
  assert.equal(run.notes[0].kind, "fallback");
});

test("it waits for a person and goes on when the call runs", () => {
  const waiting = play([STARTED, tool("t1", "PENDING"), meta({ status: "waiting", toolId: "t1" })]);
  assert.equal(waiting.status, "waiting");
  assert.equal(waiting.waitingFor, "t1");
  const going = play([tool("t1", "RUNNING")], waiting);
  assert.equal(going.status, "running");
  assert.equal(going.waitingFor, null);
});

test("it keeps the partial text of a failed run beside its error", () => {
  const run = play([STARTED, content("Half an ans"), { type: "error", data: { code: "provider_error", message: "It broke.", retryable: true }, timestamp: T0 }, meta({ status: "failed", stopReason: "error" })]);
  assert.equal(run.status, "failed");
  assert.equal(runText(run), "Half an ans");
  assert.equal(run.error.message, "It broke.");
});

test("it counts a chunk of a type it does not know, and goes on", () => {
  const run = play([STARTED, { type: "hologram", data: {}, timestamp: T0 }, content("ok")]);
  assert.equal(run.lastSeq, 3);
  assert.equal(runText(run), "ok");
});

test("it never changes a run that it was given", () => {
  const freeze = (value) => {
    if (value && typeof value === "object") Object.values(Object.freeze(value)).forEach(freeze);
    return value;
  };
  const chunks = [STARTED, reasoning("a"), content("b"), tool("t", "RUNNING"), tool("t", "COMPLETED"), content("c"), meta({ status: "reset", keepSeq: 2 }), meta({ status: "complete" })];
  let run = freeze(newRun("r1"));
  for (const chunk of chunks) run = freeze(applyChunk(run, run.lastSeq + 1, freeze(chunk)));
  assert.equal(run.status, "complete");
});
