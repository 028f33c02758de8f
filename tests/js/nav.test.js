/** The list of conversations and what it is told while it reads itself anew. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { ConversationList } from "../../static/nexus/pages/nav.js";

globalThis.document = { visibilityState: "hidden", querySelector: () => null };

const conversation = (id, fields = {}) => ({ id, title: id, status: "active", unread: 0, pinned: false, messageCount: 1, lastActiveAt: `2026-11-20T10:00:0${id.at(-1)}.000Z`, ...fields });
const list = (...items) => new ConversationList(null, items, { me: "u1", workspace: "team" });
const shown = (one) => one.all.map(({ id, title }) => `${id} ${title}`);

/** The server's answer to the list, given when the test says so. */
function server(t) {
  const asked = [];
  const before = globalThis.fetch;
  globalThis.fetch = (path) =>
    new Promise((resolve) => {
      asked.push({ path, answer: (body, status = 200) => resolve({ ok: status === 200, status, text: async () => JSON.stringify(body) }) });
    });
  t.after(() => (globalThis.fetch = before));
  return asked;
}

test("it takes over what was missed: new ones, changed ones, those that are gone", async (t) => {
  const asked = server(t);
  const one = list(conversation("c1"), conversation("c2"));
  let changes = 0;
  one.addEventListener("change", () => (changes += 1));
  const done = one.refresh();
  assert.match(asked[0].path, /^\/api\/conversations\?.*workspace=team/);
  asked[0].answer({ items: [conversation("c3"), conversation("c1", { title: "renamed" })] });
  await done;
  assert.deepEqual(shown(one), ["c3 c3", "c1 renamed"]);
  assert.equal(changes, 1);
});

test("it says nothing where nothing was missed", async (t) => {
  const asked = server(t);
  const one = list(conversation("c1"));
  one.addEventListener("change", () => assert.fail("nothing changed"));
  const done = one.refresh();
  asked[0].answer({ items: [conversation("c1")] });
  await done;
});

test("it keeps what was told while the answer was on its way", async (t) => {
  const asked = server(t);
  const one = list(conversation("c1"), conversation("c2"), conversation("c4"));
  const done = one.refresh();
  one.update(conversation("c2", { title: "newer" }));
  one.update(conversation("c3", { title: "new" }));
  one.remove("c4");
  asked[0].answer({ items: [conversation("c1"), conversation("c2", { title: "older" }), conversation("c4")] });
  await done;
  assert.deepEqual(shown(one), ["c3 new", "c2 newer", "c1 c1"]);
});

test("of two readings the later one counts", async (t) => {
  const asked = server(t);
  const one = list(conversation("c1"));
  const first = one.refresh();
  const second = one.refresh();
  asked[1].answer({ items: [conversation("c2")] });
  await second;
  asked[0].answer({ items: [conversation("c1")] });
  await first;
  assert.deepEqual(shown(one), ["c2 c2"]);
});

test("a refusal changes nothing and is told to who asked", async (t) => {
  const asked = server(t);
  const one = list(conversation("c1"));
  const done = one.refresh();
  asked[0].answer({ error: { code: "unexpected_error", message: "no" } }, 500);
  await assert.rejects(done, { status: 500 });
  assert.deepEqual(shown(one), ["c1 c1"]);
});
