/** The panels of the usage page: each makes elements of one answer of the API. Nothing here asks or remembers. */
import { h, icon } from "../lib/dom.js";
import { count, seconds } from "../lib/format.js";
import { address, narrowed } from "./query.js";
import { BUCKETS, days, exactly, inSeconds, money, moneyAxis, nameOf, parts, share, short } from "./words.js";

const STACK = ["c1", "c2", "k3", "k4"];
const TOKENS = [
  ["output", "Output", "c1"],
  ["reasoning", "Thinking", "k3"],
  ["input", "Input", "c2"],
  ["cacheWrite", "Written to cache", "k4"],
  ["cacheRead", "Read from cache", "c3"],
];
const shortAxis = (found) => found.map(short);
/** The log axis of a range: 0.1 s to 100 s. */
const [LEAST_MS, DECADES] = [100, 3];

/** The strip of figures. */
export function tiles({ totals, before }, latencies) {
  const tokens = totals.tokenUsage;
  const read = tokens.input + tokens.cacheRead + tokens.cacheWrite;
  const first = latencies?.timeToFirstTokenMs;
  return [
    tile("Spend", money(totals.cost), totals.unpriced ? warning(`${count(totals.unpriced)} of ${count(totals.requests)} requests unpriced`) : compared(totals, before)),
    tile("Requests", count(totals.requests), totals.estimated ? `${count(totals.estimated)} with estimated tokens` : "all counted by their providers"),
    tile("Tokens", short(tokens.total), `${share(tokens.cacheRead, read)} of the input from cache`),
    tile("Failed", share(totals.errors, totals.requests), totals.errors ? `${count(totals.errors)} of ${count(totals.requests)} requests` : "no request failed"),
    tile("First words, p50", first ? seconds(first.p50) : "…", first ? `p95 ${seconds(first.p95)}, p99 ${seconds(first.p99)}` : ""),
  ];
}

function tile(label, figure, sub) {
  return h("div.tile", {}, h("dt", {}, label), h("dd.num", {}, figure), h("dd.sub", {}, sub));
}

function warning(text) {
  return h("span.st.warn", {}, icon("triangle-alert", "s"), h("span", {}, text));
}

function compared(totals, before) {
  if (!before) return "since the first request";
  const [now, then] = [Number(totals.cost), Number(before.cost ?? 0)];
  if (before.cost === null || !then) return `nothing spent ${days(before)}`;
  const percent = Math.round((now / then - 1) * 100);
  if (!percent) return `as much as ${days(before)}`;
  return `${Math.abs(percent).toLocaleString()} % ${percent > 0 ? "more" : "less"} than ${days(before)}`;
}

/** In place of a chart of nothing but zeros; null where something was spent. */
export function nothingSpent({ totals }) {
  if (Number(totals.cost)) return null;
  return h("p.none", {}, totals.cost === null ? "No price is known for what ran in this time." : "What ran in this time cost nothing.");
}

/** Spend over time, stacked by the groups that cost most. */
export function spend({ overTime, span, groupBy, totals }) {
  const named = parts(overTime.starts, span);
  const series = overTime.series.map((one, index) => ({
    name: nameOf(groupBy, one),
    colour: one.isRest ? "c3" : STACK[index],
    values: one.cost.map(Number),
    told: one.cost.map(money),
  }));
  const sums = named.map((_, index) => (series.some((one) => one.told[index] === "unpriced") && series.every((one) => one.values[index] === 0 ) ? "unpriced" : money(series.reduce((sum, one) => sum + one.values[index], 0))));
  const label = `Spend by ${span.unit}, ${money(totals.cost)} in all`;
  return { kind: "stack", label, parts: named, series, total: series.length > 1 ? sums : undefined, axis: moneyAxis };
}

export function tokens({ overTime, span, totals }) {
  const named = parts(overTime.starts, span);
  const series = TOKENS.filter(([key]) => totals.tokenUsage[key]).map(([key, name, colour]) => ({ name, colour, values: overTime.tokens[key], told: overTime.tokens[key].map(count) }));
  const total = named.map((_, index) => count(series.reduce((sum, one) => sum + one.values[index], 0)));
  return { kind: "stack", label: `Tokens by ${span.unit}, ${count(totals.tokenUsage.total)} in all`, parts: named, series, total, axis: shortAxis };
}

export function requests({ overTime, span, totals }) {
  const named = parts(overTime.starts, span);
  const good = overTime.requests.map((value, index) => value - overTime.errors[index]);
  const series = [
    { name: "Failed", colour: "danger", values: overTime.errors, told: overTime.errors.map(count) },
    { name: "Answered", colour: "c1", values: good, told: good.map(count) },
  ];
  return { kind: "stack", label: `Requests by ${span.unit}, ${count(totals.requests)} in all, ${count(totals.errors)} failed`, parts: named, series, total: overTime.requests.map(count), axis: shortAxis };
}

export function firstWords({ overTime, span }) {
  const named = parts(overTime.starts, span);
  const series = [["p50", "c1"], ["p95", "k3"], ["p99", "k4", [4, 3]]].map(([name, colour, dash]) => {
    const values = overTime.timeToFirstTokenMs.map((one) => one[name]);
    return { name, colour, dash, values, told: values.map((ms) => (ms === null ? "–" : seconds(ms))) };
  });
  return { kind: "lines", label: `Time to the first words by ${span.unit}`, parts: named, series, axis: (found) => found.map((ms) => `${(ms / 1000).toLocaleString()} s`) };
}

/** The same as a plot, for who does not look at plots. */
export function plotTable(data) {
  const head = ["When", ...data.series.map((one) => one.name), ...(data.total ? ["Together"] : [])];
  return table(data.label, head, data.parts.map((part, index) => [part.full, ...data.series.map((one) => one.told[index]), ...(data.total ? [data.total[index]] : [])]));
}

/** The groups by what they cost; each leads to its own requests. */
export function groups(overview, chosen, title) {
  const { groupBy, totals } = overview;
  const most = Math.max(0, ...overview.groups.map((line) => Number(line.cost ?? 0)));
  const mostTokens = Math.max(1, ...overview.groups.map((line) => line.tokenUsage.total));
  const rows = overview.groups.map((line) => {
    const name = nameOf(groupBy, line);
    const to = narrowed(chosen, groupBy, line.key);
    // By what they cost; where nothing costs anything, by tokens.
    const part = most ? Number(line.cost ?? 0) / most : line.tokenUsage.total / mostTokens;
    const lane = h("meter.lane2", { min: 0, max: 1, "aria-hidden": "true" });
    lane.value = part;
    const link = chosen.filters[groupBy] === undefined ? h("a.lk", { href: `/usage/${address(to)}`, data: { to: address(to) } }, name) : h("b", {}, name);
    return h("tr", {}, h("th.head", { scope: "row" }, link, lane), ...cells(line, totals));
  });
  if (overview.rest) rows.push(h("tr", {}, h("th.head", { scope: "row" }, h("span.mut", {}, "All others")), ...cells(overview.rest, totals)));
  const heads = [title, "Requests", "Failed", "Input", "Cached", "Output", "Thinking", "Cost", "Share"];
  return scrolled(h("table.tb.groups", {}, h("caption.sr", {}, `Usage by ${title.toLowerCase()}`), h("thead", {}, h("tr", {}, ...heads.map(head))), h("tbody", {}, ...rows)));
}

function cells(line, totals) {
  const tokens = line.tokenUsage;
  const numbers = [count(line.requests), count(line.errors), short(tokens.input + tokens.cacheWrite), short(tokens.cacheRead), short(tokens.output), short(tokens.reasoning)];
  const cost = h("td.n", { title: exactly(line.cost) }, money(line.cost));
  return [...numbers.map((text) => h("td.n", {}, text)), cost, h("td.n.mut", {}, line.cost === null ? "–" : share(Number(line.cost), Number(totals.cost ?? 0)))];
}

/** What each bucket of tokens cost. */
export function buckets({ costByBucket, totals }) {
  const lines = costByBucket.filter((line) => line.tokens || Number(line.cost));
  const rows = lines.map((line) => [BUCKETS[line.bucket], line.tokens === null ? "–" : count(line.tokens), money(line.cost), line.cost === null ? "–" : share(Number(line.cost), Number(totals.cost))]);
  const made = table("Cost by bucket", ["Bucket", "Tokens", "Cost", "Share"], rows, ["All", count(totals.tokenUsage.total), money(totals.cost), ""]);
  const unpriced = costByBucket.reduce((sum, line) => sum + line.unpricedTokens, 0);
  return unpriced ? [made, h("p.note-of", {}, warning(`${count(unpriced)} tokens have no known price and are in no cost`))] : [made];
}

/** p50, p95 and p99 as numbers, and as dot, bar and tick on one log axis. */
export function latencies(answer, title) {
  const heads = [h("th", { scope: "col" }, title), ...["Requests", "p50", "p95", "p99"].map((text) => head(text, 1)), h("th.pl", { scope: "col" }, h("span.ax", { "aria-hidden": "true" }, ...["0.1 s", "1 s", "10 s", "100 s"].map((text) => h("span", {}, text))), h("span.sr", {}, "Picture")), ...["Whole p50", "p95", "p99"].map((text) => head(text, 1))];
  const rows = answer.groups.map((line) => {
    const [first, whole] = [line.timeToFirstTokenMs, line.durationMs];
    return h("tr", {}, h("th.head", { scope: "row" }, nameOf(answer.groupBy, line)), h("td.n", {}, count(line.requests)), ...["p50", "p95", "p99"].map((name) => h("td.n", {}, inSeconds(first[name]))), h("td.pl", {}, range(first)), ...["p50", "p95", "p99"].map((name) => h("td.n", {}, inSeconds(whole[name]))));
  });
  return scrolled(h("table.tb.times", {}, h("caption.sr", {}, `Time to the first words and of the whole request in seconds, by ${title.toLowerCase()}`), h("thead", {}, h("tr", {}, ...heads)), h("tbody", {}, ...rows)));
}

function range({ p50, p95, p99 }) {
  if (p50 === null) return h("span.mut", {}, "–");
  const at = (ms) => Math.min(100, Math.max(0, (Math.log10(Math.max(1, ms) / LEAST_MS) / DECADES) * 100));
  const drawn = h("div.rg", { "aria-hidden": "true" }, h("i.w2"), h("i.w"), h("i.p"), h("i.z"));
  for (const [name, ms] of Object.entries({ "--a": p50, "--b": p95, "--c": p99 })) drawn.style.setProperty(name, at(ms).toFixed(1));
  return drawn;
}

export function tools({ tools: lines }) {
  if (!lines.length) return h("p.none", {}, "No tool was called.");
  const rows = lines.map((line) => [line.name, count(line.calls), count(line.errors), count(line.unknown), seconds(line.durationMs.p50), seconds(line.durationMs.p95), seconds(line.durationMs.p99)]);
  return table("Tools by their calls", ["Tool", "Calls", "Failed", "Unsure", "p50", "p95", "p99"], rows, null, "mono");
}

/** How often something went wrong and was made good. */
export function recovery({ recovery: runs }, { totals }) {
  const lines = [
    ["Tried again", totals.retries - totals.fallbacks, "requests that failed and were sent once more"],
    ["Fallbacks", totals.fallbacks, "requests that went to the next model"],
    ["Takeovers", runs.takeovers, "runs whose process was lost and that another went on with"],
    ["Handed over", runs.handovers, "runs that a stopping process gave away in good order"],
    ["Resumed", runs.resumed, "runs that went on from a failed or stopped one"],
    ["Lost requests", totals.lost, "settled at what their log showed"],
  ];
  return h("dl.saved", {}, ...lines.map(([name, number, text]) => h("div", {}, h("dt", {}, name, h("span.mut", {}, text)), h("dd.num", {}, count(number)))));
}

export function table(caption, heads, rows, foot = null, firstClass = "") {
  const row = (values, kind = "td") => h("tr", {}, ...values.map((value, place) => h(place ? `${kind}.n` : "th.head", place ? {} : { scope: "row", class: `head ${firstClass}` }, value)));
  return scrolled(h("table.tb", {}, h("caption.sr", {}, caption), h("thead", {}, h("tr", {}, ...heads.map(head))), h("tbody", {}, ...rows.map((values) => row(values))), foot ? h("tfoot", {}, row(foot)) : null));
}

function head(text, place) {
  return h(place ? "th.n" : "th", { scope: "col" }, text);
}

/** A wide table scrolls by itself, also by keyboard. */
function scrolled(made) {
  return h("div.tw", { tabindex: "0", role: "region", "aria-label": made.caption?.textContent ?? "Table" }, made);
}
