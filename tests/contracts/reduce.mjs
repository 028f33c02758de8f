// Reads one JSON array of frames a line, reduces them as the browser does, answers with what must agree.
import { createInterface } from "node:readline";

import { initialState, reduce } from "../../static/nexus/client/reducer.js";
import { runText } from "../../static/nexus/client/run.js";

const item = (one) =>
  one.kind === "tool"
    ? { kind: "tool", toolId: one.toolId, status: one.call.status, input: one.call.input }
    : { kind: one.kind, section: one.section ?? null, text: one.text };

const run = (one) => ({
  id: one.id,
  conversationId: one.conversationId,
  agentId: one.agentId,
  promptId: one.promptId,
  answerId: one.answerId,
  status: one.status,
  lastSeq: one.lastSeq,
  storedSeq: one.storedSeq,
  gapAt: one.gapAt,
  epoch: one.epoch,
  superseded: one.superseded,
  waitingFor: one.waitingFor,
  error: one.error?.code ?? null,
  stopReason: one.stopReason,
  tokens: one.tokenUsage?.total ?? null,
  cost: one.cost?.total ?? null,
  durationMs: one.durationMs,
  text: runText(one),
  items: one.items.map(item),
});

for await (const line of createInterface({ input: process.stdin })) {
  const state = JSON.parse(line).reduce(reduce, initialState());
  const told = {
    title: state.conversation?.title ?? null,
    messages: Object.values(state.messages).map(({ id, role, content, superseded, runId }) => ({ id, role, content, superseded, runId })),
    runs: Object.values(state.runs).map(run),
    presence: state.presence.map((one) => one.userId),
    activities: state.activities.map((one) => one.id),
  };
  process.stdout.write(JSON.stringify(told) + "\n");
}
