/** The live meter: exact for finished steps, reckoned for the one that streams. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { meter, meterWords } from "../../static/nexus/client/meter.js";
import { applyChunk, newRun } from "../../static/nexus/client/run.js";
import { count, usd } from "../../static/nexus/lib/format.js";

const play = (...chunks) => chunks.reduce((run, [type, data]) => applyChunk(run, run.lastSeq + 1, { type, data, timestamp: 1 }), newRun("r1"));
const STARTED = ["metadata", { status: "started" }];
const PRICE = { promptTokens: 50, promptCost: "0.001", outputPerMillion: "10" };
const said = (chars) => ["content", "x".repeat(chars)];
const progress = (tokensUsed, cost) => ["metadata", { status: "progress", currentStep: 1, tokensUsed, cost }];

test("before the first words there is nothing to tell", () => {
  assert.equal(meter(play(STARTED)), null);
  assert.equal(meterWords(null, { count, usd }), "");
});

test("without a price it tells tokens and no money", () => {
  assert.deepEqual(meter(play(STARTED, said(10), ["reasoning", "yyyy"])), { tokens: 4, cost: null });
});

test("with a price the prompt counts from the first words on", () => {
  const told = meter(play(STARTED, said(400)), PRICE);
  assert.equal(told.tokens, 150);
  assert.ok(Math.abs(told.cost - 0.002) < 1e-12);
});

test("what a finished step took is exact and is not reckoned again", () => {
  const after = play(STARTED, said(400), progress(1234, "0.5"));
  assert.deepEqual(meter(after), { tokens: 1234, cost: 0.5 });
  const on = applyChunk(after, after.lastSeq + 1, { type: "content", data: "x".repeat(40), timestamp: 2 });
  assert.deepEqual(meter(on), { tokens: 1244, cost: null }); // the new words have no price
  assert.ok(Math.abs(meter(on, PRICE).cost - 0.5001) < 1e-12);
});

test("the progress of a tool call is not the run's", () => {
  const run = play(STARTED, said(40), ["metadata", { status: "progress", toolId: "t1", percentage: 5, tokensUsed: 9 }]);
  assert.equal(meter(run).tokens, 10);
});

test("what was taken back is not counted below nothing", () => {
  const run = play(STARTED, said(400), progress(100, "0.1"), ["metadata", { status: "reset", keepSeq: 1 }]);
  assert.equal(meter(run).tokens, 100);
});

test("an ended run has its own numbers, and own hardware is free", () => {
  assert.equal(meter(play(STARTED, said(40), ["metadata", { status: "complete" }])), null);
  assert.equal(meterWords(meter(play(STARTED, said(40)), { promptTokens: 0, promptCost: "0", outputPerMillion: "0" }), { count, usd }), "about 10 tokens · free");
});
