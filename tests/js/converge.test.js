/** Whatever becomes of the frames on their way, a watcher ends with the text that is stored, each piece once. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, test } from "node:test";

import { NexusClient } from "../../static/nexus/client/client.js";
import { Link } from "../../static/nexus/client/link.js";
import { runText } from "../../static/nexus/client/run.js";
import { clock } from "./clock.js";
import { FakeSocket } from "./fakes.js";

beforeEach(() => {
  FakeSocket.all = [];
  clock.start();
});
afterEach(() => clock.stop());

/** Numbers in [0, 1) that are the same for the same seed (mulberry32). */
function dice(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const QUESTION = { id: "m1", number: 1, conversationId: "c1", role: "user", content: "Go", createdAt: "2026-11-20T14:00:00Z" };

/** The log of one run: a step, a takeover with a reset, another step, the end. */
function logOf(pieces) {
  const chunks = [{ type: "metadata", data: { status: "started", questionId: "m1", agentId: "demo", conversationId: "c1" } }];
  let text = "";
  for (let i = 0; i < pieces; i += 1) {
    const piece = `${i} `;
    text += piece;
    chunks.push({ type: "content", data: piece });
    if (i === Math.floor(pieces / 3)) {
      const keepSeq = chunks.length;
      chunks.push({ type: "content", data: "withdrawn " });
      chunks.push({ type: "metadata", data: { status: "resumed", epoch: 2 } });
      chunks.push({ type: "metadata", data: { status: "reset", keepSeq } });
    }
  }
  chunks.push({ type: "metadata", data: { status: "complete", tokenUsage: { total: 1 } } });
  return { chunks, text };
}

/** A server whose hints get lost, doubled, reordered and late; its log stays true. */
class Mischief {
  constructor(log, random, { lost = 0, doubled = 0, late = 0, replays = 0 }) {
    Object.assign(this, { log, random, lost, doubled, late, replays, written: 0, messages: [QUESTION], refusals: 0 });
  }

  serve(socket) {
    socket.answer = (frame) => {
      if (frame.type === "ping") this.deliver(socket, { type: "pong" }, 0);
      if (frame.type === "subscribe") {
        const after = frame.after?.r1 ?? 0;
        const run = { id: "r1", conversationId: "c1", messageId: "m1", agentId: "demo", status: this.written === this.log.length ? "complete" : "running", lastSeq: this.written };
        socket.say({ type: "subscribed", id: frame.id, conversation: { id: "c1", title: "T" }, messages: this.messages, runs: this.written ? [run] : [], members: [], presence: [] });
        for (let seq = after + 1; seq <= this.written; seq += 1) this.deliver(socket, this.frame(seq), this.replays);
      }
      if (frame.type === "replay") {
        if (this.random() < this.replays) return socket.say({ type: "error", id: frame.id, code: "unexpected_error", message: "Something failed." });
        for (let seq = frame.after + 1; seq <= this.written; seq += 1) this.deliver(socket, this.frame(seq), this.replays);
      }
    };
  }

  frame(seq) {
    return { type: "chunk", runId: "r1", conversationId: "c1", seq, chunk: { ...this.log[seq - 1], timestamp: seq } };
  }

  write(socket) {
    this.written += 1;
    this.deliver(socket, this.frame(this.written), this.lost);
  }

  deliver(socket, frame, lost) {
    if (this.random() < lost) return;
    const times = this.random() < this.doubled ? 2 : 1;
    for (let i = 0; i < times; i += 1) {
      if (this.random() < this.late) setTimeout(() => socket.say(frame), this.random() * 3_000);
      else socket.say(frame);
    }
  }
}

async function watch(mischief) {
  const link = new Link({ url: "ws://nexus.test/ws/", WebSocket: FakeSocket });
  const client = new NexusClient({ link, conversationId: "c1" }).connect();
  mischief.serve(FakeSocket.last);
  FakeSocket.last.welcome();
  await clock.pass(100);
  return client;
}

const CASES = {
  "half of them lost": { lost: 0.5 },
  "half of them doubled": { doubled: 0.5 },
  "half of them late and so out of order": { late: 0.5 },
  "all of it, and the replays too": { lost: 0.5, doubled: 0.3, late: 0.4, replays: 0.3 },
  "nothing but the first heard": { lost: 0.98 },
};

for (const [name, odds] of Object.entries(CASES)) {
  test(`it converges with ${name}`, async () => {
    for (let seed = 1; seed <= 6; seed += 1) {
      const { chunks, text } = logOf(60);
      const mischief = new Mischief(chunks, dice(seed), odds);
      const client = await watch(mischief);
      const applied = [];
      client.onChunk(({ seq }) => applied.push(seq));
      mischief.deliver(FakeSocket.last, { type: "run.started", runId: "r1", conversationId: "c1", run: { id: "r1", conversationId: "c1", messageId: "m1", agentId: "demo", status: "running" } }, 0);
      for (let i = 0; i < chunks.length; i += 1) {
        mischief.write(FakeSocket.last);
        await clock.pass(100);
      }
      for (let waited = 0; client.isStreaming && waited < 240_000; waited += 5_000) {
        await clock.pass(5_000);
        if (client.link.status !== "live") assert.fail("the link was given up");
      }
      const run = client.state.runs.r1;
      assert.equal(run.status, "complete", `seed ${seed}`);
      assert.equal(runText(run), text);
      assert.deepEqual(applied, chunks.map((_, index) => index + 1), "each chunk once, in order");
      assert.equal(client.error, null, "nothing of it is anybody's error");
      client.close();
    }
  });
}

test("it converges when the link is cut again and again", async () => {
  for (let seed = 1; seed <= 6; seed += 1) {
    const random = dice(seed);
    const { chunks, text } = logOf(60);
    const mischief = new Mischief(chunks, random, { lost: 0.2, doubled: 0.2, late: 0.2 });
    const client = await watch(mischief);
    const applied = [];
    client.onChunk(({ seq }) => applied.push(seq));
    const join = async () => {
      while (FakeSocket.last.readyState === 3) await clock.pass(500);
      mischief.serve(FakeSocket.last);
      FakeSocket.last.welcome();
      await clock.pass(100);
    };
    for (let i = 0; i < chunks.length; i += 1) {
      mischief.write(FakeSocket.last);
      await clock.pass(100);
      if (random() < 0.1) {
        FakeSocket.last.end([1006, 1001, 4008, 4012][Math.floor(random() * 4)]);
        if (random() < 0.5) mischief.written = Math.min(chunks.length, mischief.written + 3); // words nobody heard
        i = mischief.written - 1;
        await join();
      }
    }
    for (let waited = 0; client.isStreaming && waited < 120_000; waited += 5_000) await clock.pass(5_000);
    assert.equal(runText(client.state.runs.r1), text, `seed ${seed}`);
    assert.deepEqual(applied, chunks.map((_, index) => index + 1));
    client.close();
  }
});

test("it draws nothing across a gap, not for a moment", async () => {
  const { chunks, text } = logOf(30);
  const mischief = new Mischief(chunks, dice(7), { lost: 0.4, late: 0.4 });
  const client = await watch(mischief);
  const words = text.split(" ");
  client.addEventListener("change", () => {
    const shown = runText(client.state.runs.r1 ?? { items: [] }).replace("withdrawn ", "").trim();
    if (shown) assert.deepEqual(shown.split(" "), words.slice(0, shown.split(" ").length));
  });
  for (let i = 0; i < chunks.length; i += 1) {
    mischief.write(FakeSocket.last);
    await clock.pass(200);
  }
  await clock.pass(60_000);
  assert.equal(runText(client.state.runs.r1), text);
});

test("it reads the conversation again when the question of an answer never came", async () => {
  const { chunks } = logOf(3);
  const mischief = new Mischief(chunks, dice(1), {});
  mischief.messages = [];
  const client = await watch(mischief);
  mischief.messages = [QUESTION];
  for (let i = 0; i < 3; i += 1) mischief.write(FakeSocket.last);
  assert.deepEqual(client.messages, []);
  await clock.pass(5_000);
  assert.deepEqual(client.messages.map((entry) => entry.from), ["user", "assistant"]);
  assert.equal(FakeSocket.last.framesOf("subscribe").length, 2);
});

test("it does not ask for ever faster than is needed", async () => {
  const { chunks } = logOf(3);
  const mischief = new Mischief(chunks, dice(1), {});
  const client = await watch(mischief);
  mischief.write(FakeSocket.last);
  mischief.write(FakeSocket.last);
  await clock.pass(600_000); // a tool that takes ten minutes
  const asked = FakeSocket.last.framesOf("replay").length;
  assert.ok(asked >= 4 && asked <= 9, `${asked} questions in ten quiet minutes`);
  assert.equal(client.link.status, "live");
});

test("a question whose answer lies unread in a frozen page is not called unanswered", async () => {
  const { chunks } = logOf(3);
  const mischief = new Mischief(chunks, dice(1), {});
  const client = await watch(mischief);
  let outcome = null;
  client.request({ type: "run.cancel", runId: "r1" }).then((frame) => (outcome = frame.type), (error) => (outcome = error.code));
  const { id } = FakeSocket.last.framesOf("run.cancel")[0];
  clock.sleep(3_600_000);
  await clock.pass(500);
  assert.equal(outcome, null);
  FakeSocket.last.say({ type: "run.cancelled", id, runId: "r1" });
  await clock.pass(0);
  assert.equal(outcome, "run.cancelled");
});

test("a page does not go on as somebody else", async () => {
  const { chunks } = logOf(3);
  const mischief = new Mischief(chunks, dice(1), {});
  const link = new Link({ url: "ws://nexus.test/ws/", WebSocket: FakeSocket });
  const client = new NexusClient({ link, initial: { user: { id: "u9", name: "Ann" }, conversation: { id: "c1" }, messages: [QUESTION] } }).connect();
  let told = null;
  client.addEventListener("somebody-else", ({ detail }) => (told = detail.user.id));
  mischief.serve(FakeSocket.last);
  FakeSocket.last.welcome(); // Maya's session
  await clock.pass(1_000);
  assert.equal(told, "u1");
  assert.equal(client.link.status, "closed");
  assert.deepEqual(FakeSocket.last.framesOf("subscribe"), []);
});
