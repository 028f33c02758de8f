/** Money, times and what an answer took, as people read them. */
import assert from "node:assert/strict";
import test from "node:test";

import { seconds, tokenLine, usd } from "../../static/nexus/lib/format.js";

test("it writes nothing as $0 and what is unknown in words", () => {
  assert.deepEqual(["0", 0, "0.000000000000", "0.0124", null].map(usd), ["$0", "$0", "$0", "$0.0124", "unpriced"]);
});

test("it calls no time that passed zero", () => {
  assert.deepEqual([0, 3, 9.9, 10, 880, 9412, null].map(seconds), ["<0.01 s", "<0.01 s", "<0.01 s", "0.01 s", "0.88 s", "9.4 s", "–"]);
});

test("it says what an answer took", () => {
  const run = { tokenUsage: { total: 418 }, cost: { total: "0.0124" }, durationMs: 9412, provider: "anthropic" };
  assert.equal(tokenLine(run), "418 tokens · $0.0124 · 9.4 s");
  assert.equal(tokenLine({ ...run, estimated: true, provider: "ollama" }), "about 418 tokens · free · 9.4 s");
  assert.equal(tokenLine({ ...run, cost: { total: null } }), "418 tokens · unpriced · 9.4 s");
});

test("it says nothing of tokens and money where nothing was counted", () => {
  const run = { tokenUsage: { total: 0 }, cost: { total: "0" }, estimated: true, provider: "anthropic" };
  assert.equal(tokenLine({ ...run, durationMs: 310 }), "0.31 s");
  assert.equal(tokenLine(run), "");
  assert.equal(tokenLine({ ...run, provider: "local", cost: { total: null } }), "");
});
