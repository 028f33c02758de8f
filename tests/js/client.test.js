import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { NexusClient } from "../../static/nexus/client/client.js";
import { Link } from "../../static/nexus/client/link.js";
import { AUTO_SEND_MS } from "../../static/nexus/client/outbox.js";
import { clock } from "./clock.js";
import { FakeSocket, FakeStorage } from "./fakes.js";

beforeEach(() => {
  FakeSocket.all = [];
  clock.start();
});
afterEach(() => clock.stop());

const CONVERSATION = { id: "c1", title: "T" };
const settle = () => clock.pass(0);
const chunk = (seq, type, data, runId = "r1") => ({ type: "chunk", runId, conversationId: "c1", seq, chunk: { type, data, timestamp: seq } });
const STARTED = chunk(1, "metadata", { status: "started", questionId: "m1", agentId: "demo" });

/** Answers what every client asks at first. */
function serve(socket, { refuse = null } = {}) {
  socket.answer = (frame) => {
    if (frame.type === "subscribe") socket.say({ type: "subscribed", id: frame.id, conversation: CONVERSATION, messages: [{ id: "m1", role: "user", content: "Hi", createdAt: "2026-11-20T14:00:00Z" }], runs: [], members: [], presence: [] });
    if (frame.type === "run.start" && refuse) socket.say({ type: "error", id: frame.id, ...refuse });
    else if (frame.type === "run.start") socket.say({ type: "run.accepted", id: frame.id, clientId: frame.clientId, runId: "r1", conversationId: "c1", messageId: "m1" });
    if (frame.type === "run.cancel") socket.say({ type: "run.cancelled", id: frame.id, runId: frame.runId });
  };
}

async function connected(options = {}, served = {}) {
  const link = new Link({ url: "ws://nexus.test/ws/", WebSocket: FakeSocket });
  const client = new NexusClient({ link, conversationId: "c1", ...options }).connect();
  serve(FakeSocket.last, served);
  FakeSocket.last.welcome();
  await settle();
  return client;
}

test("it opens its conversation and hands on each chunk once, in order", async () => {
  const client = await connected();
  const seen = [];
  const stop = client.onChunk(({ seq, chunk: piece }) => seen.push([seq, piece.type]));
  const socket = FakeSocket.last;
  for (const frame of [STARTED, chunk(2, "content", "He"), chunk(2, "content", "He"), chunk(3, "content", "llo")]) socket.say(frame);
  assert.deepEqual(seen, [[1, "metadata"], [2, "content"], [3, "content"]]);
  assert.equal(client.isStreaming, true);
  socket.say(chunk(4, "metadata", { status: "complete" }));
  assert.equal(client.isStreaming, false);
  stop();
  socket.say(chunk(5, "content", "x"));
  assert.equal(seen.length, 4);
});

test("it asks for a replay at a gap, once, and loses nothing", async () => {
  const client = await connected();
  const socket = FakeSocket.last;
  for (const frame of [STARTED, chunk(2, "content", "a"), chunk(5, "content", "d"), chunk(6, "content", "e")]) socket.say(frame);
  assert.deepEqual(socket.framesOf("replay").map(({ runId, after }) => [runId, after]), [["r1", 2]]);
  for (const [seq, text] of [[3, "b"], [4, "c"], [5, "d"], [6, "e"], [7, "f"]]) socket.say(chunk(seq, "content", text));
  assert.equal(client.state.runs.r1.items[0].text, "abcdef");
});

test("it goes on after the last seq of each live run when the connection is back", async () => {
  const client = await connected();
  FakeSocket.last.say(STARTED);
  FakeSocket.last.say(chunk(2, "content", "a"));
  FakeSocket.last.end(4012);
  assert.equal(client.isStreaming, true, "a closed socket does not end a run");
  await clock.pass(20_000);
  serve(FakeSocket.last);
  FakeSocket.last.welcome();
  await settle();
  assert.deepEqual(FakeSocket.last.framesOf("subscribe")[0].after, { r1: 2 });
});

test("it reads its conversation again when the server says that something was lost on its way", async () => {
  const client = await connected();
  const socket = FakeSocket.last;
  let missed = 0;
  client.addEventListener("missed", () => (missed += 1));
  socket.say(STARTED);
  socket.say(chunk(2, "content", "a"));
  socket.say({ type: "resync" });
  await settle();
  assert.equal(missed, 1);
  assert.equal(FakeSocket.last, socket, "it needs no other socket for that");
  assert.deepEqual(socket.framesOf("subscribe").map(({ after }) => after), [{}, { r1: 2 }]);
});

test("it keeps a message that was written offline and sends it with the same clientId when it is back", async () => {
  const storage = new FakeStorage();
  const client = await connected({ storage });
  FakeSocket.last.end();
  const sent = client.sendMessage("Hello", { agentId: "demo" });
  await settle();
  assert.equal(client.messages.at(-1).pending.text, "Hello");
  const { clientId } = client.outbox.messages[0];
  await clock.pass(20_000);
  serve(FakeSocket.last);
  FakeSocket.last.welcome();
  await settle();
  assert.equal((await sent).runId, "r1");
  assert.equal(FakeSocket.last.framesOf("run.start")[0].clientId, clientId);
  assert.equal(client.outbox.messages.length, 0);
});

test("it sends a message again with the same clientId when the answer was lost with the connection", async () => {
  const client = await connected();
  const first = FakeSocket.last;
  first.answer = null;
  const sent = client.sendMessage("Hello", { agentId: "demo" });
  first.end();
  await clock.pass(20_000);
  serve(FakeSocket.last);
  FakeSocket.last.welcome();
  await settle();
  await sent;
  assert.equal(FakeSocket.last.framesOf("run.start")[0].clientId, first.framesOf("run.start")[0].clientId);
});

test("it keeps an unsent message over a reload, and leaves an old one to the person", async () => {
  const storage = new FakeStorage();
  const before = await connected({ storage });
  FakeSocket.last.end();
  before.sendMessage("Soon", { agentId: "demo" }).catch(() => {});
  await settle();
  const after = await connected({ storage });
  await settle();
  assert.equal(FakeSocket.last.framesOf("run.start")[0].input, "Soon");
  assert.equal(after.outbox.messages.length, 0);

  before.outbox.put({ clientId: "old", conversationId: "c1", text: "Late", input: "Late", at: Date.now() - AUTO_SEND_MS - 1, status: "sending", error: null });
  const later = await connected({ storage });
  assert.equal(FakeSocket.last.framesOf("run.start").length, 0);
  assert.equal(later.state.pending[0].status, "failed");
});

test("it keeps a refused message with the reason, until it is sent again or removed", async () => {
  const client = await connected({}, { refuse: { code: "run_in_progress", message: "Still answering." } });
  await assert.rejects(client.sendMessage("Hello", { agentId: "demo" }), { code: "run_in_progress", message: "Still answering." });
  const { clientId, error } = client.messages.at(-1).pending;
  assert.equal(error.code, "run_in_progress");
  serve(FakeSocket.last);
  await client.resend(clientId);
  assert.equal(client.state.pending.length, 0);
});

test("it does not send a frame again that was too large", async () => {
  const client = await connected();
  FakeSocket.last.answer = null;
  const sent = client.sendMessage("x".repeat(100), { agentId: "demo" });
  FakeSocket.last.end(4009);
  await assert.rejects(sent, { code: "frame_too_large" });
  assert.equal(client.state.pending[0].status, "failed");
});

test("it sends null as the parent of a first message, because that is where it branches", async () => {
  const client = await connected();
  await client.sendMessage("Other", { agentId: "demo", parentMessageId: null });
  assert.equal(FakeSocket.last.framesOf("run.start")[0].parentMessageId, null);
  assert.equal("regenerateMessageId" in FakeSocket.last.framesOf("run.start")[0], false);
});

test("it stops the live run", async () => {
  const client = await connected();
  FakeSocket.last.say(STARTED);
  await client.cancelStream();
  assert.deepEqual(FakeSocket.last.framesOf("run.cancel").map((frame) => frame.runId), ["r1"]);
});

test("it remembers the last refusal until it is cleared", async () => {
  const client = await connected();
  FakeSocket.last.say({ type: "error", code: "bad_frame", message: "Not understood." });
  assert.equal(client.error.code, "bad_frame");
  client.clearError();
  assert.equal(client.error, null);
});

test("it stays in its conversation when an answer is made again", async () => {
  const client = await connected();
  await client.sendMessage("", { agentId: "demo", regenerateMessageId: "m2" });
  await settle();
  assert.deepEqual(FakeSocket.last.framesOf("unsubscribe"), []);
  assert.equal(client.state.pending.length, 0);
});
