/** How a budget stands, as the usage page shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { fieldsOf } from "../../static/nexus/usage/budget-form.js";
import { ofWhat, standing } from "../../static/nexus/usage/budgets.js";

const budget = (more) => ({ scope: "workspace", scopeName: null, limit: "10", spent: "0", reserved: "0", hard: true, alertAt: [50, 80, 100], ...more });

test("it tells room, the highest percentage that was reached, and the end", () => {
  assert.deepEqual(standing(budget({ spent: "2.5" })), { used: 0.25, held: 0, kind: "ok", word: "Room left" });
  assert.equal(standing(budget({ spent: "8.1" })).word, "Over 80 %");
  assert.deepEqual(standing(budget({ spent: "10" })), { used: 1, held: 0, kind: "bad", word: "Used up" });
  assert.deepEqual(standing(budget({ spent: "12", hard: false })), { used: 1, held: 0, kind: "warn", word: "Over its limit" });
});

test("what is held is part of the bar and never goes beyond it", () => {
  const now = standing(budget({ spent: "7", reserved: "5" }));
  assert.equal(now.used, 0.7);
  assert.ok(Math.abs(now.held - 0.3) < 1e-9);
  assert.equal(now.word, "Used up");
});

test("a budget of nothing is used up from the beginning", () => {
  assert.equal(standing(budget({ limit: "0" })).word, "Used up");
});

test("what may not be known by name is told by its kind", () => {
  assert.equal(ofWhat(budget({})), "The whole workspace");
  assert.equal(ofWhat(budget({ scope: "agent", scopeName: "Analyst" })), "Analyst");
  assert.equal(ofWhat(budget({ scope: "conversation" })), "A conversation");
});

test("a form says a new budget whole, and of a change what may change", () => {
  const data = new FormData();
  for (const [name, value] of Object.entries({ of: "agent:a:b", limit: " 2.50 ", period: "day", end: "refuse", alerts: "50, 80 %", name: "", email: "on" })) data.set(name, value);
  const fields = { limit: "2.50", hard: true, onEnd: "refuse", alertAt: [50, 80], email: true };
  assert.deepEqual(fieldsOf(data), { ...fields, scope: "agent", scopeId: "a:b", period: "day" });
  data.set("end", "");
  data.delete("email");
  assert.deepEqual(fieldsOf(data, { name: "Old" }), { limit: "2.50", hard: false, alertAt: [50, 80], email: false, name: "" });
});
