/** What a conversation took: the server's sum and what ended since. */
import assert from "node:assert/strict";
import test from "node:test";

import { initialState } from "../../static/nexus/client/reducer.js";
import { spent } from "../../static/nexus/client/spent.js";

const at = "2026-11-21T10:00:00.000Z";
const run = (id, seconds, more = {}) => ({ [id]: { id, endedAt: Date.parse(at) + seconds * 1000, tokenUsage: { total: 100 }, cost: { total: "0.5" }, provider: "anthropic", ...more } });
const state = (totals, ...runs) => ({ ...initialState(), totals, runs: Object.assign({}, ...runs) });

test("it adds what ended since the server told its sum, each run once", () => {
  const told = { tokens: 1000, cost: "2", free: false, at };
  assert.deepEqual(spent(state(told, run("r1", -5), run("r2", 5))), { tokens: 1100, cost: "2.5", free: false });
});

test("it counts nothing that is superseded or unpriced as money", () => {
  const told = { tokens: 0, cost: null, free: true, at };
  const found = spent(state(told, run("r1", 5, { superseded: true }), run("r2", 6, { cost: { total: null } })));
  assert.deepEqual(found, { tokens: 100, cost: null, free: false });
});

test("it counts what it saw where the server told no sum", () => {
  assert.deepEqual(spent(state(null, run("r1", 1, { provider: "local" }))), { tokens: 100, cost: "0.5", free: true });
  assert.deepEqual(spent(state(null)), { tokens: 0, cost: null, free: true });
});
