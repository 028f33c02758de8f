/** What the composer says about the price of a message. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { atMostWords } from "../../static/nexus/pages/at-most.js";

const told = (more) => ({ promptTokens: 1200, promptCost: "0.0012", worstCase: "0.0312", maxTokens: 4096, affordableTokens: 4096, budget: null, refusal: null, ...more });

test("it says the most, and in full what that is made of", () => {
  const words = atMostWords(told());
  assert.deepEqual([words.text, words.kind], ["$0.0312 at most", ""]);
  assert.match(words.more, /about 1,200 tokens \(\$0\.0012\).*4,096 at most/);
});

test("it names the budget that shortens or refuses", () => {
  assert.deepEqual(atMostWords(told({ budget: "Team", affordableTokens: 300 })).text, "Shorter answer: little is left of “Team”");
  assert.deepEqual([atMostWords(told({ budget: "Team", refusal: "budget_exceeded" })).text, atMostWords(told({ budget: "Team", refusal: "budget_exceeded" })).kind], ["No room in “Team”", "warn"]);
  assert.equal(atMostWords(told({ budget: "Team", refusal: "price_unknown", worstCase: null })).text, "“Team” refuses models without a price");
});

test("what costs nothing or is not known is said only to who asked", () => {
  assert.deepEqual([atMostWords(told({ worstCase: "0" })).text, atMostWords(told({ worstCase: "0" }), true).text], ["", "Free"]);
  assert.deepEqual([atMostWords(told({ worstCase: null })).text, atMostWords(told({ worstCase: null }), true).text], ["", "No price is known"]);
});
