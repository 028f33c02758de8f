/** What the usage page keeps in its address, and how it says money. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { address, asked, narrowed, parse, sameNumbers, widened } from "../../static/nexus/usage/query.js";
import { days, exactly, fromPico, money, moneyAxis, nameOf, parts, perMillion, share } from "../../static/nexus/usage/words.js";

test("it reads back what it writes, and leaves out what is usual", () => {
  assert.equal(address(parse("")), "");
  assert.equal(address(parse("?range=month&groupBy=agent")), "");
  for (const text of ["?range=all", "?range=week&groupBy=user&model=gpt-6-luna", "?from=2026-01-01&to=2026-01-31&attempt=x", "?user=~"]) {
    assert.equal(address(parse(text)), text);
  }
});

test("it takes nothing for a choice that is none", () => {
  const chosen = parse("?range=year&groupBy=secret&from=yesterday&price=1");
  assert.deepEqual(chosen, { range: "month", from: "", to: "", groupBy: "agent", filters: {}, attempt: "" });
});

test("days count before a range, and a filter of none is told as such", () => {
  assert.equal(asked(parse("?range=week")), "?range=week");
  assert.equal(asked(parse("?range=week&from=2026-01-01")), "?from=2026-01-01");
  const chosen = narrowed(parse("?range=all"), "user", null);
  assert.equal(asked(chosen, { groupBy: "model", cursor: "" }), "?range=all&user=~&groupBy=model");
  assert.equal(address(widened(chosen, "user")), "?range=all");
});

test("the lines of a money axis have the decimals that the finest needs", () => {
  assert.deepEqual(moneyAxis([0, 0.25, 0.5, 0.75]), ["$0", "$0.25", "$0.50", "$0.75"]);
  assert.deepEqual(moneyAxis([0, 0.5, 1, 1.5]), ["$0", "$0.50", "$1.00", "$1.50"]);
  assert.deepEqual(moneyAxis([0, 0.0005, 0.001]), ["$0", "$0.0005", "$0.0010"]);
  assert.deepEqual(moneyAxis([0, 2, 4]), ["$0", "$2", "$4"]);
  assert.deepEqual(moneyAxis([0, 5000, 10000]), ["$0", "$5 k", "$10 k"]);
  assert.deepEqual(moneyAxis([0.1 + 0.2]), ["$0.30"]);
});

test("an open request changes no numbers", () => {
  assert.ok(sameNumbers(parse("?range=all"), parse("?range=all&attempt=x")));
  assert.ok(!sameNumbers(parse("?range=all"), parse("?range=week")));
  assert.ok(!sameNumbers(null, parse("")));
});

test("unpriced is never 0, and what is small is not 0 either", () => {
  assert.equal(money(null), "unpriced");
  assert.equal(money("0"), "$0");
  assert.equal(money("0.000000000001"), "<$0.0001");
  assert.equal(money("0.0124"), "$0.0124");
  assert.equal(money("1218.4231"), "$1,218.42");
  assert.equal(perMillion(null), "unpriced");
  assert.equal(perMillion(37_500), "$0.0375");
});

test("a cost in full has every decimal, also where floats have not", () => {
  assert.equal(exactly("9007199254740993.000000000001"), "$9,007,199,254,740,993.000000000001");
  assert.equal(exactly("3"), "$3.00");
  assert.equal(exactly(null), "unpriced");
  assert.equal(fromPico(1000), "$0.000000001");
  assert.equal(fromPico(2_500_000_000_000), "$2.50");
});

test("a part is none, hardly any, or some", () => {
  assert.deepEqual([share(0, 0), share(1, 100_000), share(1, 40), share(1, 3)], ["0 %", "<0.1 %", "2.5 %", "33 %"]);
});

test("a group without a name says why", () => {
  assert.equal(nameOf("user", { key: null, name: null }), "Nobody");
  assert.equal(nameOf("conversation", { key: "x", name: null }), "A conversation that is not open to you");
  assert.equal(nameOf("agent", { key: "gone", name: null }), "gone");
  assert.equal(nameOf("agent", { isRest: true, key: null }), "All others");
});

test("days and their parts are told in the reader's zone", () => {
  assert.equal(days({ from: "2020-11-03", to: "2020-11-20" }), "3–20 November 2020");
  assert.equal(days({ from: "2019-12-30", to: "2020-01-02" }), "30 December 2019 – 2 January 2020");
  const [first] = parts(["2026-03-01T23:00:00.000Z"], { unit: "day", timeZone: "Europe/Oslo" });
  assert.equal(first.axis, "2 Mar");
  const twice = parts(["2026-10-25T00:00:00.000Z", "2026-10-25T01:00:00.000Z"], { unit: "hour", timeZone: "Europe/Berlin" });
  assert.deepEqual(twice.map((part) => part.axis), ["02:00", "02:00"]);
  assert.notEqual(twice[0].full, twice[1].full, "the hour that comes twice is told apart by its zone");
});
