import assert from "node:assert/strict";
import { test } from "node:test";

import { apply, diff, moved, rebase, SharedDraft } from "../../static/nexus/client/draft.js";

const turn = () => new Promise((done) => setImmediate(done));

/** One draft as the server keeps it: an edit for each version, and everyone hears of it, each in their own time. */
class Server {
  constructor(text = "") {
    Object.assign(this, { text, version: 0, people: [], waiting: [] });
  }

  join() {
    const person = { frames: [], shown: [] };
    person.draft = new SharedDraft(this.told(), {
      send: (edit) => new Promise((resolve, reject) => this.waiting.push(() => this.take(edit, resolve, reject))),
      read: async () => this.told(),
      show: (text, splice) => person.shown.push({ text, splice }),
      lost: (code) => (person.lost = code),
      pace: 0,
    });
    this.people.push(person);
    return person;
  }

  told() {
    return { id: "d", text: this.text, version: this.version };
  }

  take(edit, resolve, reject) {
    if (edit.version !== this.version) return reject(Object.assign(new Error("moved"), { code: "draft_moved" }));
    this.text = apply(this.text, edit);
    this.version += 1;
    for (const person of this.people) person.frames.push({ draftId: "d", ...edit, version: this.version });
    return resolve({ version: this.version });
  }

  /** One thing that is under way arrives, chosen by `random`; false when nothing is. */
  step(random) {
    const ways = [];
    if (this.waiting.length) ways.push(() => this.waiting.shift()());
    for (const person of this.people) if (person.frames.length) ways.push(() => person.draft.receive(person.frames.shift()));
    if (!ways.length) return false;
    ways[Math.floor(random() * ways.length)]();
    return true;
  }

  async settle(random = () => 0) {
    for (;;) {
      await turn();
      if (!this.step(random)) {
        await turn();
        if (!this.step(random)) return;
      }
    }
  }
}

function dice(seed) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

test("it finds the one change between two texts, and never splits a character", () => {
  assert.equal(diff("same", "same"), null);
  assert.deepEqual(diff("Hello", "Hello all"), { at: 5, removed: 0, inserted: " all" });
  assert.deepEqual(diff("aaa", "aa"), { at: 2, removed: 1, inserted: "" });
  assert.deepEqual(diff("x😀y", "x😁y"), { at: 1, removed: 2, inserted: "😁" });
  assert.deepEqual(diff("😀", "🤀"), { at: 0, removed: 2, inserted: "🤀" }, "alike in the second half only");
  const random = dice(7);
  const word = () => Array.from({ length: Math.floor(random() * 6) }, () => ["a", "b", "😀", "😁", "🤀"][Math.floor(random() * 5)]).join("");
  for (let n = 0; n < 2000; n += 1) {
    const [before, after] = [word(), word()];
    const edit = diff(before, after);
    assert.equal(edit ? apply(before, edit) : before, after);
    if (edit) assert.ok(edit.inserted.isWellFormed() && before.slice(0, edit.at).isWellFormed() && before.slice(edit.at + edit.removed).isWellFormed(), `${before} → ${after}`);
  }
});

test("it keeps what both put in and takes out what either took out", () => {
  const text = "0123456789";
  const both = (mine, theirs) => apply(apply(text, theirs), rebase(mine, theirs));
  assert.equal(both({ at: 5, removed: 0, inserted: "M" }, { at: 2, removed: 1, inserted: "TT" }), "01TT34M56789");
  assert.equal(both({ at: 1, removed: 2, inserted: "M" }, { at: 7, removed: 0, inserted: "T" }), "0M3456T789");
  assert.equal(both({ at: 2, removed: 6, inserted: "M" }, { at: 4, removed: 2, inserted: "T" }), "01MT89");
  assert.equal(both({ at: 4, removed: 2, inserted: "M" }, { at: 2, removed: 6, inserted: "T" }), "01TM89");
  assert.equal(both({ at: 2, removed: 4, inserted: "M" }, { at: 4, removed: 4, inserted: "T" }), "01MT89");
  assert.equal(both({ at: 4, removed: 4, inserted: "M" }, { at: 2, removed: 4, inserted: "T" }), "01TM89");
  assert.equal(both({ at: 3, removed: 0, inserted: "M" }, { at: 3, removed: 0, inserted: "T" }), "012TM3456789");
});

test("a place moves with the text around it", () => {
  assert.equal(moved(3, { at: 5, removed: 0, inserted: "xx" }), 3);
  assert.equal(moved(7, { at: 5, removed: 1, inserted: "xx" }), 8);
  assert.equal(moved(6, { at: 5, removed: 4, inserted: "x" }), 6);
});

test("two people write at once and read the same", async () => {
  const server = new Server("Hello");
  const [alice, bob] = [server.join(), server.join()];
  alice.draft.write("Hello all");
  bob.draft.write("Oh. Hello");
  await server.settle();
  assert.equal(server.text, "Oh. Hello all");
  assert.equal(alice.draft.text, server.text);
  assert.equal(bob.draft.text, server.text);
  assert.ok(alice.draft.settled && bob.draft.settled);
  assert.deepEqual(alice.shown.at(-1).splice, { at: 0, removed: 0, inserted: "Oh. " });
});

test("whatever three people write, in whatever order it arrives, all read the same in the end", async () => {
  for (let seed = 1; seed <= 60; seed += 1) {
    const random = dice(seed);
    const server = new Server("begin 😀 end");
    const people = [server.join(), server.join(), server.join()];
    const put = [];
    for (let n = 0; n < 25; n += 1) {
      const { draft } = people[Math.floor(random() * 3)];
      const units = Array.from(draft.text);
      const at = Math.floor(random() * (units.length + 1));
      const mark = `<${seed}.${n}>`;
      const removes = random() < 0.15;
      units.splice(at, removes ? Math.floor(random() * 3) : 0, mark);
      if (!removes) put.push(mark);
      draft.write(units.join(""));
      for (let k = Math.floor(random() * 4); k > 0; k -= 1) {
        server.step(random);
        await turn();
      }
    }
    await server.settle(random);
    for (const { draft } of people) {
      assert.equal(draft.text, server.text, `seed ${seed}`);
      assert.ok(draft.settled, `seed ${seed}`);
    }
    assert.ok(server.text.isWellFormed());
  }
});

test("what is only added is never lost", async () => {
  const random = dice(99);
  const server = new Server("");
  const people = [server.join(), server.join()];
  for (let n = 0; n < 40; n += 1) {
    const { draft } = people[n % 2];
    draft.write(`${draft.text}[${n}]`);
    if (random() < 0.6) {
      server.step(random);
      await turn();
    }
  }
  await server.settle(random);
  for (let n = 0; n < 40; n += 1) assert.ok(server.text.includes(`[${n}]`), `${n} in ${server.text}`);
});

test("it asks for the whole draft when an edit never came, and keeps what was written meanwhile", async () => {
  const server = new Server("a");
  const [alice, bob] = [server.join(), server.join()];
  alice.draft.write("ab");
  await server.settle();
  alice.draft.write("abc");
  server.waiting.shift()();
  bob.frames.length = 0; // lost on its way
  bob.draft.write("Xab");
  await bob.draft.refresh();
  await server.settle();
  assert.equal(server.text, "Xabc");
  assert.equal(bob.draft.text, "Xabc");
});

test("nothing changes under a word that is being composed", async () => {
  const server = new Server("a");
  const [alice, bob] = [server.join(), server.join()];
  bob.draft.hold();
  alice.draft.write("ab");
  await server.settle();
  assert.equal(bob.draft.text, "a");
  bob.draft.release();
  assert.equal(bob.draft.text, "ab");
});

test("it ends where the draft is gone", async () => {
  const server = new Server("a");
  const alice = server.join();
  server.take = (_edit, _resolve, reject) => reject(Object.assign(new Error("gone"), { code: "not_found" }));
  alice.draft.write("ab");
  await server.settle();
  assert.equal(alice.lost, "not_found");
  assert.ok(alice.draft.ended);
});
