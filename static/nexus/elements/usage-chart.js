/**
 * `<nexus-usage-chart>`: tokens per day, stacked as input, cached and output. Bars of HTML: no library, no canvas, and
 * a table beside it always says the same. Property `days`: rows of `/api/usage?groupBy=day`.
 */
import { h } from "../lib/dom.js";
import { count, usd } from "../lib/format.js";

const PARTS = [
  ["c1", "Output", (usage) => usage.output + usage.reasoning],
  ["c2", "Input", (usage) => usage.input + usage.cacheWrite],
  ["c3", "Cached", (usage) => usage.cacheRead],
];
const MOST_DAYS = 62;
const DAY_MS = 86_400_000;

export class NexusUsageChart extends HTMLElement {
  /** @param {{key: string, tokenUsage: object, cost: string|null, requests: number}[]} rows oldest or newest first */
  set days(rows) {
    const days = filled(rows);
    const most = Math.max(1, ...days.map((day) => day.total));
    const top = niceTop(most);
    const plot = h("div.plot", { role: "img", "aria-label": summary(days) });
    plot.append(h("div.gy", {}, ...[1, 0.5, 0].map((part) => h("span", {}, short(top * part)))));
    const bars = h("div.bars");
    const every = Math.ceil(days.length / 15);
    days.forEach((day, index) => bars.append(this.#bar(day, top, index % every === 0)));
    plot.append(h("div.gl", {}, h("i"), h("i"), h("i")), bars);
    this.replaceChildren(h("ul.legend", {}, ...PARTS.map(([colour, name]) => h("li", {}, h(`i.${colour}`), name))), plot);
  }

  #bar(day, top, labelled) {
    const stack = h("div.b");
    stack.style.setProperty("height", `${(day.total / top) * 100}%`);
    for (const [colour, , value] of [...PARTS].reverse()) {
      const part = day.usage ? value(day.usage) : 0;
      if (!part) continue;
      const piece = h(`i.${colour}`);
      piece.style.setProperty("flex-grow", String(part));
      stack.append(piece);
    }
    const text = `${day.label}: ${count(day.total)} tokens, ${usd(day.cost)}`;
    return h("div.dy", { title: text }, stack, h("span.num", {}, labelled ? String(day.date.getUTCDate()) : ""));
  }
}

/** One column per day, also for days on which nothing was asked. */
function filled(rows) {
  const known = new Map(rows.map((row) => [String(row.key).slice(0, 10), row]));
  const keys = [...known.keys()].filter((key) => /^\d{4}-\d\d-\d\d$/.test(key)).sort();
  if (!keys.length) return [];
  const last = Date.parse(keys.at(-1));
  const first = Math.max(Date.parse(keys[0]), last - (MOST_DAYS - 1) * DAY_MS);
  const start = Math.min(first, last - 13 * DAY_MS);
  const days = [];
  for (let at = start; at <= last; at += DAY_MS) {
    const date = new Date(at);
    const row = known.get(date.toISOString().slice(0, 10));
    days.push({ date, label: date.toLocaleDateString("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }), usage: row?.tokenUsage ?? null, total: row?.tokenUsage.total ?? 0, cost: row ? row.cost : "0" });
  }
  return days;
}

function niceTop(most) {
  const power = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most);
}

function short(value) {
  if (value >= 1e6) return `${(value / 1e6).toFixed(value % 1e6 ? 1 : 0)} M`;
  if (value >= 1000) return `${(value / 1000).toFixed(value % 1000 ? 1 : 0)} k`;
  return String(Math.round(value));
}

function summary(days) {
  const peak = days.reduce((best, day) => (day.total > (best?.total ?? -1) ? day : best), null);
  return peak ? `Tokens by day, ${days[0].label} to ${days.at(-1).label}, most on ${peak.label}: ${count(peak.total)}. The table below says the same.` : "No days yet.";
}

customElements.define("nexus-usage-chart", NexusUsageChart);
