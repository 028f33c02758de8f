import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { Link, TIMES } from "../../static/nexus/client/link.js";
import { clock } from "./clock.js";
import { FakeSocket } from "./fakes.js";

beforeEach(() => {
  FakeSocket.all = [];
  clock.start();
});
afterEach(() => clock.stop());

const opened = (options = {}) => {
  const link = new Link({ url: "ws://nexus.test/ws/", WebSocket: FakeSocket, ...options });
  link.open();
  return link;
};
const live = (options) => {
  const link = opened(options);
  FakeSocket.last.welcome();
  return link;
};

test("it is live only after the server's welcome", () => {
  const link = opened();
  assert.equal(link.status, "connecting");
  assert.equal(link.send({ type: "x" }), false);
  FakeSocket.last.welcome();
  assert.equal(link.status, "live");
  assert.equal(link.send({ type: "x" }), true);
});

test("it pings every twenty seconds and gives a silent link up ten seconds later", () => {
  const link = live();
  const socket = FakeSocket.last;
  clock.move(TIMES.ping);
  assert.equal(socket.framesOf("ping").length, 1);
  clock.move(TIMES.silence - 1);
  assert.equal(link.status, "live");
  clock.move(1);
  assert.equal(link.status, "offline");
  clock.move(TIMES.maxRetry * 2);
  assert.ok(FakeSocket.all.length > 1, "it tries again");
});

test("it takes any frame for a sign of life", () => {
  const link = live();
  clock.move(TIMES.ping);
  FakeSocket.last.say({ type: "presence.changed", users: [] });
  clock.move(TIMES.silence + 1);
  assert.equal(link.status, "live");
});

test("it finds a dead link within seconds after sleep", () => {
  const link = live();
  link.wake();
  clock.move(TIMES.wake);
  assert.equal(link.status, "offline");
});

test("it waits longer after each failure, never longer than the limit, and never the same", () => {
  const ownClock = { now: () => Date.now(), setTimeout, clearTimeout, random: () => 1 };
  const link = opened({ clock: ownClock });
  const waits = [];
  for (let i = 0; i < 8; i += 1) {
    FakeSocket.last.end();
    waits.push(link.retryAt - Date.now());
    clock.move(waits.at(-1));
  }
  assert.ok(waits.every((wait, i) => i === 0 || wait >= waits[i - 1]));
  assert.equal(waits.at(-1), TIMES.maxRetry + TIMES.firstRetry / 2);
});

test("it comes back at once after 4008, slowly after 4429", () => {
  const link = live({ clock: { now: () => Date.now(), setTimeout, clearTimeout, random: () => 0.5 } });
  FakeSocket.last.end(4008);
  assert.ok(link.retryAt - Date.now() <= TIMES.firstRetry);
  clock.move(TIMES.firstRetry);
  FakeSocket.last.welcome();
  FakeSocket.last.end(4429);
  assert.ok(link.retryAt - Date.now() >= TIMES.flooded);
});

test("it stays away after 4401 and 4403, and says which", () => {
  for (const [code, status] of [[4401, "signed-out"], [4403, "forbidden"]]) {
    const link = live();
    FakeSocket.last.end(code);
    assert.equal(link.status, status);
    const before = FakeSocket.all.length;
    clock.move(600_000);
    assert.equal(FakeSocket.all.length, before);
  }
});

test("it asks why the door stays shut, because a browser does not tell", async () => {
  const link = opened({ probe: async () => "signed-out" });
  FakeSocket.last.end();
  await clock.pass(TIMES.maxRetry);
  FakeSocket.last.end();
  await clock.pass(0);
  assert.equal(link.status, "signed-out");
});

test("it does not come back when it was closed by us", () => {
  const link = live();
  link.close();
  clock.move(600_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(link.status, "closed");
});
