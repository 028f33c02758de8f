/** A link through sleep, dead networks and shut doors. */
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

const HOUR = 3_600_000;
const alive = (socket) => (socket.answer = (frame) => frame.type === "ping" && socket.say({ type: "pong" }));

function live(options = {}) {
  const link = new Link({ url: "ws://nexus.test/ws/", WebSocket: FakeSocket, ...options });
  link.statuses = [];
  link.addEventListener("status", ({ detail }) => link.statuses.push(detail.status));
  link.open();
  FakeSocket.last.welcome();
  return link;
}

test("it notices within 35 s that a link died, whenever that was", () => {
  for (const quietFor of [0, 1, 7_300, 19_900, 20_000, 21_000, 39_999]) {
    const link = live();
    const socket = FakeSocket.last;
    alive(socket);
    clock.move(quietFor);
    socket.answer = null;
    let waited = 0;
    while (link.status === "live" && waited < 60_000) {
      clock.move(100);
      waited += 100;
    }
    assert.ok(waited <= 35_000, `dead after ${quietFor} ms of life, noticed after ${waited} ms`);
    link.close();
  }
});

test("it stays on a link that lives, for hours", () => {
  const link = live();
  alive(FakeSocket.last);
  clock.move(HOUR);
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(link.status, "live");
});

test("it asks a link after sleep before it gives it up, and keeps one that answers", () => {
  const link = live();
  alive(FakeSocket.last);
  clock.sleep(8 * HOUR);
  clock.move(TIMES.wake + 200);
  assert.equal(FakeSocket.all.length, 1, "the link outlived the sleep");
  assert.deepEqual(link.statuses, ["connecting", "live"]);
});

test("it does not give a link up because its patience ran out while it slept", () => {
  const link = live();
  const socket = FakeSocket.last;
  clock.move(TIMES.ping + 500); // the ping is out, its answer is awaited
  alive(socket);
  clock.sleep(HOUR);
  clock.move(TIMES.wake + 200);
  assert.equal(link.status, "live");
  assert.equal(FakeSocket.all.length, 1);
});

test("it finds out within seconds after sleep that the link is dead, without any event of the page", () => {
  const link = live();
  clock.sleep(HOUR);
  clock.move(TIMES.wake + TIMES.look);
  assert.notEqual(link.status, "live");
  clock.move(2_000);
  assert.ok(FakeSocket.all.length > 1);
});

test("it starts over when an attempt to connect slept", () => {
  const link = live();
  FakeSocket.last.end();
  clock.move(2_000);
  const hanging = FakeSocket.last;
  assert.equal(link.status, "connecting");
  clock.sleep(HOUR);
  clock.move(200);
  assert.notEqual(FakeSocket.last, hanging);
  assert.equal(hanging.readyState, 3, "the old attempt is closed");
  FakeSocket.last.welcome();
  assert.equal(link.status, "live");
  hanging.readyState = 1;
  hanging.onmessage?.({ data: '{"type":"welcome"}' });
  assert.equal(FakeSocket.all.length, 3, "and says nothing any more");
});

test("it leaves an attempt that hangs in a dead network when the page is looked at again", () => {
  const link = live();
  FakeSocket.last.end();
  clock.move(2_000);
  const hanging = FakeSocket.last;
  link.wake();
  assert.equal(FakeSocket.last, hanging, "a fresh attempt is left to finish");
  clock.move(TIMES.wake + 100);
  link.wake();
  assert.notEqual(FakeSocket.last, hanging);
});

test("it gives an attempt up that nobody answers", () => {
  const link = new Link({ url: "ws://nexus.test/ws/", WebSocket: FakeSocket });
  link.open();
  clock.move(TIMES.handshake);
  assert.equal(link.status, "offline");
});

test("a second wake does not give a dead link more time", () => {
  const link = live();
  link.wake();
  clock.move(TIMES.wake - 500);
  link.wake();
  clock.move(500);
  assert.equal(link.status, "offline");
});

test("it tries at once on wake while it waits for its next try", () => {
  const link = live();
  FakeSocket.last.end();
  assert.equal(link.status, "offline");
  link.wake();
  assert.equal(link.status, "connecting");
});

test("it comes back after any close code that does not say otherwise", () => {
  for (const code of [1000, 1001, 1005, 1006, 1011, 1012, 4008, 4009, 4012, 4499]) {
    const link = live();
    const before = FakeSocket.all.length;
    FakeSocket.last.end(code);
    assert.equal(link.status, "offline", String(code));
    clock.move(1_300);
    assert.equal(FakeSocket.all.length, before + 1, `${code}: within 1.3 s`);
    link.close();
  }
});

test("it does not come back in a hurry to a door that opens and closes at once", () => {
  const ownClock = { now: () => Date.now(), setTimeout, clearTimeout, random: () => 0.5 };
  const link = live({ clock: ownClock });
  const waits = [];
  for (let i = 0; i < 6; i += 1) {
    FakeSocket.last.end(4008);
    waits.push(link.retryAt - Date.now());
    clock.move(waits.at(-1) + 100);
    FakeSocket.last.welcome();
  }
  assert.ok(waits.at(-1) > 4_000, String(waits));
  clock.move(TIMES.steady);
  FakeSocket.last.end(4008);
  assert.ok(link.retryAt - Date.now() <= TIMES.firstRetry, "after a steady life it is quick again");
});

test("a crowd does not come back in one moment", () => {
  const waits = Array.from({ length: 300 }, () => {
    const link = live();
    FakeSocket.last.end(4012);
    const wait = link.retryAt - Date.now();
    link.close();
    return wait;
  });
  assert.ok(Math.max(...waits) - Math.min(...waits) > 800);
  assert.ok(new Set(waits.map((wait) => Math.floor(wait / 50))).size > 12, "spread, not in lumps");
});

test("it comes back after a log-in in another tab, and only then", async () => {
  let door = "signed-out";
  const link = live({ probe: async () => door });
  FakeSocket.last.end(4401);
  link.wake();
  await clock.pass(0);
  assert.equal(link.status, "signed-out");
  door = "ok";
  link.wake();
  await clock.pass(0);
  assert.equal(link.status, "connecting");
  FakeSocket.last.welcome();
  assert.equal(link.status, "live");
});

test("a page that was closed for good does not wake", async () => {
  const link = live({ probe: async () => "ok" });
  link.close();
  link.wake();
  clock.sleep(HOUR);
  await clock.pass(1_000);
  assert.equal(FakeSocket.all.length, 1);
});
