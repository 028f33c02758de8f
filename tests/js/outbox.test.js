/** Messages that wait: sent once, by their clientId, whatever tab or page of the person does it. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { NexusClient } from "../../static/nexus/client/client.js";
import { Link } from "../../static/nexus/client/link.js";
import { AUTO_SEND_MS, Outbox } from "../../static/nexus/client/outbox.js";
import { clock } from "./clock.js";
import { FakeServer, FakeSocket, FakeStorage } from "./fakes.js";

beforeEach(() => {
  FakeSocket.all = [];
  clock.start();
});
afterEach(() => clock.stop());

const events = new EventTarget();

function tab({ server, storage, conversationId = "c1", initial = null }) {
  const link = new Link({ url: "ws://nexus.test/ws/", WebSocket: server.Socket });
  return new NexusClient({ link, conversationId, initial, storage, events }).connect();
}

const texts = (client) => client.messages.filter((entry) => entry.from === "user").map((entry) => entry.message?.content ?? entry.pending.text);

test("it keeps each message under a key of its own, so that tabs do not overwrite one another", () => {
  const storage = new FakeStorage();
  const [one, two] = [new Outbox(storage, "box"), new Outbox(storage, "box")];
  one.put({ clientId: "a", at: 2 });
  two.put({ clientId: "b", at: 1 });
  one.put({ clientId: "a", at: 2, status: "failed" });
  assert.deepEqual(two.messages.map((message) => message.clientId), ["b", "a"]);
  two.drop("a");
  assert.equal(one.has("a"), false);
  assert.deepEqual(new Outbox(storage, "other").messages, []);
});

test("it lives without a storage, with a full one and with nonsense in it", () => {
  const full = new FakeStorage();
  full.setItem = () => {
    throw new Error("quota");
  };
  for (const storage of [null, full]) {
    const box = new Outbox(storage, "box");
    box.put({ clientId: "a", at: 1 });
    assert.deepEqual(box.messages.map((message) => message.clientId), ["a"]);
    box.drop("a");
    assert.deepEqual(box.messages, []);
  }
  const odd = new FakeStorage();
  odd.setItem("box/x", "{not json");
  odd.setItem("box/y", "[1]");
  assert.deepEqual(new Outbox(odd, "box").messages, []);
});

test("a message written offline is shown as waiting, and sent once when the server is there", async () => {
  const server = new FakeServer();
  const client = tab({ server, storage: new FakeStorage() });
  await clock.pass(100);
  server.down();
  client.sendMessage("Hello", { agentId: "demo" });
  await clock.pass(5_000);
  assert.equal(client.messages.at(-1).pending.status, "sending");
  assert.equal(client.error, null);
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), ["Hello"]);
  assert.deepEqual(texts(client), ["Hello"]);
  assert.equal(client.outbox.messages.length, 0);
});

test("a message whose acknowledgement was lost is never shown or stored twice", async () => {
  const server = new FakeServer();
  const client = tab({ server, storage: new FakeStorage() });
  await clock.pass(100);
  server.deaf = "run.start"; // it is stored, and the connection dies before the answer
  client.sendMessage("Once", { agentId: "demo" });
  server.down();
  const seen = [];
  client.addEventListener("change", () => seen.push(texts(client).length));
  server.deaf = null;
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), ["Once"]);
  assert.equal(server.starts, 2);
  assert.equal(Math.max(...seen), 1, "at no moment two of it");
});

test("after a reload it is not shown beside its stored twin", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  const before = tab({ server, storage });
  await clock.pass(100);
  server.deaf = "run.start";
  before.sendMessage("Once", { agentId: "demo" });
  before.close();
  server.deaf = null;
  const after = tab({ server, storage, initial: { conversation: { id: "c1" }, messages: server.messages } });
  assert.deepEqual(texts(after), ["Once"]);
  const seen = [];
  after.addEventListener("change", () => seen.push(texts(after).length));
  await clock.pass(3_000);
  assert.equal(Math.max(...seen), 1);
  assert.deepEqual(server.stored(), ["Once"]);
  assert.equal(after.outbox.messages.length, 0);
});

test("after a reload without a connection it is shown as waiting, and sent when there is one", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  server.down();
  const before = tab({ server, storage });
  before.sendMessage("Later", { agentId: "demo" });
  before.close();
  const after = tab({ server, storage });
  await clock.pass(2_100);
  assert.deepEqual(texts(after), ["Later"]);
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), ["Later"]);
});

test("any page of the person sends what a closed tab left, and only its own shows it", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  server.down();
  const left = tab({ server, storage });
  left.sendMessage("Left behind", { agentId: "demo" });
  left.close();
  server.up();
  const sent = [];
  const home = tab({ server, storage, conversationId: null });
  home.addEventListener("sent", ({ detail }) => sent.push(detail.answer.conversationId));
  await clock.pass(2_000);
  assert.deepEqual(server.stored(), ["Left behind"]);
  assert.deepEqual(sent, ["c1"]);
  assert.deepEqual(home.state.pending, []);
  assert.deepEqual(FakeSocket.last.framesOf("unsubscribe").map((frame) => frame.conversationId), ["c1"]);
  assert.equal(home.conversationId, null, "the page stays where it is");
});

test("two tabs that come back together send it once between them", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  const one = tab({ server, storage });
  const two = tab({ server, storage });
  await clock.pass(100);
  server.down();
  one.sendMessage("One of us", { agentId: "demo" });
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), ["One of us"]);
  for (const client of [one, two]) assert.deepEqual(texts(client), ["One of us"]);
});

test("what another tab sent or removed goes from here as well", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  server.down();
  const before = tab({ server, storage });
  before.sendMessage("Mine", { agentId: "demo" });
  const { clientId } = before.outbox.messages[0];
  const other = tab({ server, storage });
  await clock.pass(2_100);
  assert.equal(other.state.pending.length, 1);
  other.outbox.drop(clientId);
  events.dispatchEvent(Object.assign(new Event("storage"), { storageArea: storage, key: `${other.outbox.prefix}${clientId}`, newValue: null }));
  assert.equal(before.state.pending.length, 0);
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), []);
});

test("it keeps the order of what was written", async () => {
  const server = new FakeServer();
  const client = tab({ server, storage: new FakeStorage() });
  await clock.pass(100);
  server.down();
  for (const text of ["first", "second", "third"]) {
    client.sendMessage(text, { agentId: "demo", policy: "enqueue" });
    await clock.pass(100);
  }
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), ["first", "second", "third"]);
});

test("a live page sends what it kept however long it was away; a page loaded later leaves old ones to the person", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  const client = tab({ server, storage });
  await clock.pass(100);
  server.down();
  client.sendMessage("Patient", { agentId: "demo" });
  clock.sleep(AUTO_SEND_MS * 2);
  const later = tab({ server, storage });
  assert.equal(later.state.pending[0].status, "failed");
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), ["Patient"]);
});

test("a refusal offers to send again or to remove, over a reload too, and stays with the person", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  server.refuse = { code: "budget_exceeded", message: "The budget is used up." };
  const before = tab({ server, storage });
  await clock.pass(100);
  await assert.rejects(before.sendMessage("Dear", { agentId: "demo" }), { code: "budget_exceeded" });
  before.close();
  server.refuse = null;
  const after = tab({ server, storage });
  await clock.pass(3_000);
  assert.equal(server.starts, 1, "it is not sent by itself");
  const [{ clientId, status, error }] = after.state.pending;
  assert.deepEqual([status, error.code], ["failed", "budget_exceeded"]);
  await after.resend(clientId);
  await clock.pass(100);
  assert.deepEqual(server.stored(), ["Dear"]);
  assert.equal(after.outbox.messages.length, 0);
});

test("it goes from the outbox when it is removed", async () => {
  const server = new FakeServer();
  const storage = new FakeStorage();
  const client = tab({ server, storage });
  await clock.pass(100);
  server.down();
  client.sendMessage("Never mind", { agentId: "demo" });
  await clock.pass(100);
  client.discard(client.state.pending[0].clientId);
  server.up();
  await clock.pass(20_000);
  assert.deepEqual(server.stored(), []);
  assert.deepEqual(texts(client), []);
});
