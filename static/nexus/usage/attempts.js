/** The requests behind the numbers: a list that goes on by keyset, and one of them in full in a dialog. */
import { h, icon, stateMark } from "../lib/dom.js";
import { count, seconds } from "../lib/format.js";
import { address } from "./query.js";
import { BUCKETS, exactly, fromPico, money, NOBODY, perMillion } from "./words.js";

const PURPOSES = { chat: "an answer", title: "a title", other: "something else" };
const ORIGINS = { override: "set here", catalogue: "price table", hardware: "own hardware" };

/** How it went, as icon, word and colour. */
function standing(line) {
  if (["RESERVED", "SENT", "STREAMING"].includes(line.status)) return stateMark("run", "loader-circle", "Running");
  if (line.status === "UNKNOWN") return stateMark("unk", "circle-dashed", "Lost");
  return line.success ? stateMark("ok", "circle-check", "Done") : stateMark("bad", "circle-x", line.error ?? "Failed");
}

function moment(at, zone, options = {}) {
  return new Date(at).toLocaleString("en-GB", { timeZone: zone, day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit", ...options });
}

/** Rows of the list; each opens its request. */
export function rows(lines, chosen, zone) {
  return lines.map((line) => {
    const to = address({ ...chosen, attempt: line.id });
    const link = h("a.lk", { href: `/usage/${to}`, data: { to } }, moment(line.startedAt, zone));
    const tokens = line.tokenUsage.total;
    return h(
      "tr",
      {},
      h("th.head", { scope: "row" }, link),
      h("td", {}, standing(line)),
      h("td.cut", {}, line.agentName ?? line.agentId ?? NOBODY.agent),
      h("td.mono.cut", {}, line.model),
      h("td.cut", {}, line.userName ?? NOBODY.user),
      h("td.n", {}, `${line.estimated ? "about " : ""}${count(tokens)}`),
      h("td.n", {}, seconds(line.timeToFirstTokenMs)),
      h("td.n", {}, seconds(line.durationMs)),
      h("td.n", {}, tokens || line.cost !== null ? money(line.cost) : "–"),
    );
  });
}

export function list() {
  const heads = ["When", "How it went", "Agent", "Model", "Person"].map((text) => h("th", { scope: "col" }, text));
  const numbers = ["Tokens", "First words", "Whole", "Cost"].map((text) => h("th.n", { scope: "col" }, text));
  const body = h("tbody");
  const made = h("div.tw", { tabindex: "0", role: "region", "aria-label": "Requests, newest first" }, h("table.tb.requests", {}, h("caption.sr", {}, "Requests, newest first"), h("thead", {}, h("tr", {}, ...heads, ...numbers)), body));
  return { made, body };
}

/** One request in full. */
export function inFull(line, zone) {
  const facts = [
    ["Began", moment(line.startedAt, zone, { year: "numeric", fractionalSecondDigits: 3, timeZoneName: "short" })],
    ["How it went", standing(line)],
    ["For", PURPOSES[line.purpose]],
    ["Agent", line.agentName ?? line.agentId ?? NOBODY.agent],
    ["Person", line.userName ?? NOBODY.user],
    ["Conversation", conversation(line)],
    ["Run", line.runId ? h("span.mono", {}, line.runId) : "none"],
    ["Model call", `step ${line.step + 1}, try ${line.number}${line.epoch > 1 ? `, owner ${line.epoch}` : ""}`],
    ["Model", h("span.mono", {}, `${line.provider}/${line.model}`)],
    line.answeredModel && line.answeredModel !== line.model ? ["Answered by", h("span.mono", {}, line.answeredModel)] : null,
    ["First words", seconds(line.timeToFirstTokenMs)],
    ["Whole", seconds(line.durationMs)],
    line.stopReason ? ["Stopped by", line.stopReason] : null,
    line.error ? ["Error", h("span.mono", {}, line.error)] : null,
    ["Price", line.price ? price(line.price, zone) : "none known: unpriced"],
    line.providerRequestId ? ["Provider's id", h("span.mono", {}, line.providerRequestId)] : null,
    ["Id", h("span.mono", {}, line.id)],
  ].filter(Boolean);
  return [h("dl.facts", {}, ...facts.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))), costs(line)];
}

function conversation(line) {
  if (!line.conversationId) return "none";
  if (line.conversationTitle === null) return "not open to you";
  return h("a.lk", { href: `/c/${line.conversationId}/` }, line.conversationTitle, " ", icon("external-link", "s"));
}

function price(told, zone) {
  const day = moment(told.validFrom, zone, { year: "numeric", hour: undefined, minute: undefined, second: undefined });
  const tier = told.contextOver ? `, over ${count(told.contextOver)} tokens` : "";
  return `${told.model}${tier}, ${ORIGINS[told.origin]}, in force from ${day}${told.source ? `; ${told.source}` : ""}`;
}

/** Count × price = cost, line by line, with every decimal. */
function costs(line) {
  const used = line.buckets.filter((one) => one.count || one.costPico !== null && one.costPico !== "0");
  const body = used.map((one) =>
    h(
      "tr",
      {},
      h("th.head", { scope: "row" }, BUCKETS[one.bucket]),
      h("td.n", {}, count(one.count)),
      h("td.n", {}, one.bucket.startsWith("per_") ? fromPico(one.pricePico) : perMillion(one.pricePico)),
      h("td.n.mono", {}, exactly(one.cost)),
      h("td.n.mono", {}, one.costPico === null ? "unpriced" : BigInt(one.costPico).toLocaleString()),
    ),
  );
  const pico = line.buckets.every((one) => one.costPico !== null) ? line.buckets.reduce((sum, one) => sum + BigInt(one.costPico), 0n).toLocaleString() : "unpriced";
  const foot = h("tr", {}, h("th.head", { scope: "row" }, line.estimated ? "Together, estimated" : "Together"), h("td.n", {}, count(line.tokenUsage.total)), h("td"), h("td.n.mono", {}, line.tokenUsage.total || line.cost !== null ? exactly(line.cost) : "–"), h("td.n.mono", {}, line.tokenUsage.total || line.cost !== null ? pico : "–"));
  const heads = [h("th", { scope: "col" }, "Bucket"), ...["Count", "Per million", "Cost", "pico-USD"].map((text) => h("th.n", { scope: "col" }, text))];
  return h("div.tw", { tabindex: "0", role: "region", "aria-label": "What it cost" }, h("table.tb", {}, h("caption.sr", {}, "What it cost, by bucket"), h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...body), h("tfoot", {}, foot)));
}
