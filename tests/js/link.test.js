import assert from "node:assert/strict";
import { afterEach, beforeEach, test, vi } from "vitest";

import { Link, TIMES } from "../../static/nexus/client/link.js";
import { FakeSocket } from "./fakes.js";

beforeEach(() => {
  FakeSocket.all = [];
  vi.useFakeTimers();
});
afterEach(() => vi.useRealTimers());

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
  vi.advanceTimersByTime(TIMES.ping);
  assert.equal(socket.framesOf("ping").length, 1);
  vi.advanceTimersByTime(TIMES.silence - 1);
  assert.equal(link.status, "live");
  vi.advanceTimersByTime(1);
  assert.equal(link.status, "offline");
  vi.advanceTimersByTime(TIMES.maxRetry * 2);
  assert.ok(FakeSocket.all.length > 1, "it tries again");
});

test("it takes any frame for a sign of life", () => {
  const link = live();
  vi.advanceTimersByTime(TIMES.ping);
  FakeSocket.last.say({ type: "presence.changed", users: [] });
  vi.advanceTimersByTime(TIMES.silence + 1);
  assert.equal(link.status, "live");
});

test("it finds a dead link within seconds after sleep", () => {
  const link = live();
  link.wake();
  vi.advanceTimersByTime(TIMES.wake);
  assert.equal(link.status, "offline");
});

test("it waits longer after each failure, never longer than the limit, and never the same", () => {
  const clock = { now: () => Date.now(), setTimeout, clearTimeout, random: () => 1 };
  const link = opened({ clock });
  const waits = [];
  for (let i = 0; i < 8; i += 1) {
    FakeSocket.last.end();
    waits.push(link.retryAt - Date.now());
    vi.advanceTimersByTime(waits.at(-1));
  }
  assert.ok(waits.every((wait, i) => i === 0 || wait >= waits[i - 1]));
  assert.equal(waits.at(-1), TIMES.maxRetry + TIMES.firstRetry / 2);
});

test("it comes back at once after 4008, slowly after 4429", () => {
  const link = live({ clock: { now: () => Date.now(), setTimeout, clearTimeout, random: () => 0.5 } });
  FakeSocket.last.end(4008);
  assert.ok(link.retryAt - Date.now() <= TIMES.firstRetry);
  vi.advanceTimersByTime(TIMES.firstRetry);
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
    vi.advanceTimersByTime(600_000);
    assert.equal(FakeSocket.all.length, before);
  }
});

test("it asks why the door stays shut, because a browser does not tell", async () => {
  const link = opened({ probe: async () => "signed-out" });
  FakeSocket.last.end();
  await vi.advanceTimersByTimeAsync(TIMES.maxRetry);
  FakeSocket.last.end();
  await vi.advanceTimersByTimeAsync(0);
  assert.equal(link.status, "signed-out");
});

test("it does not come back when it was closed by us", () => {
  const link = live();
  link.close();
  vi.advanceTimersByTime(600_000);
  assert.equal(FakeSocket.all.length, 1);
  assert.equal(link.status, "closed");
});
