/** How the usage page says numbers, money, times and names. Money stays a string of decimals until it is shown. */
import { count } from "../lib/format.js";

export const BUCKETS = {
  input: "Input",
  cache_read: "Read from cache",
  cache_write_5m: "Written to cache, 5 min",
  cache_write_1h: "Written to cache, 1 h",
  output: "Output",
  reasoning: "Thinking",
  fees: "Fees by request and search",
  per_request: "Fee for the request",
  per_search: "Fee for web searches",
};
export const NOBODY = { agent: "No agent", user: "Nobody", conversation: "No conversation", model: "No model", provider: "No provider", purpose: "Other" };
const HIDDEN = "A conversation that is not open to you";

/** `18.4231` → `$18.42`, under a dollar four decimals, what is smaller still `<$0.0001`; null is unpriced, never 0. */
export function money(amount) {
  if (amount === null || amount === undefined) return "unpriced";
  const value = Number(amount);
  if (value === 0) return "$0";
  if (value < 0.0001) return "<$0.0001";
  const places = value >= 1 ? 2 : 4;
  return `$${value.toLocaleString(undefined, { minimumFractionDigits: places, maximumFractionDigits: places })}`;
}

/** The lines of an axis, all with as many decimals as the finest needs: `$0 $0.25 $0.50`, `$0 $0.0005 $0.0010`, `$0 $2 $4`. */
export function moneyAxis(values) {
  const parts = (value) => (String(Number(value.toFixed(9))).split(".")[1] ?? "").length;
  const finest = Math.max(0, ...values.map(parts));
  const places = finest && Math.max(2, finest);
  const whole = (value) => value.toLocaleString(undefined, { minimumFractionDigits: places, maximumFractionDigits: places });
  return values.map((value) => (value ? `$${value < 1000 ? whole(value) : short(value)}` : "$0"));
}

/** All decimals there are, at least two: `$0.0124`, `$18.423100000001`. */
export function exactly(amount) {
  if (amount === null || amount === undefined) return "unpriced";
  const [whole, parts = ""] = String(amount).split(".");
  return `$${BigInt(whole).toLocaleString()}.${parts.padEnd(2, "0")}`;
}

/** Whole pico-USD → US dollars with all decimals. */
export function fromPico(pico) {
  const digits = String(pico).padStart(13, "0");
  return exactly(`${digits.slice(0, -12)}.${digits.slice(-12).replace(/0+$/, "")}`);
}

/** pico-USD per token as US dollars per million tokens, which is how prices are published. */
export function perMillion(pico) {
  return pico === null ? "unpriced" : `$${(pico / 1e6).toLocaleString(undefined, { maximumFractionDigits: 6 })}`;
}

/** `3,861,204` → `3.86 M`. */
export function short(value) {
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
    if (value >= size) return `${(value / size).toLocaleString(undefined, { maximumSignificantDigits: 3 })} ${letter}`;
  }
  return count(value);
}

/** 1,830 ms → `1.83`; seconds without their unit, for columns. */
export function inSeconds(ms) {
  if (ms === null || ms === undefined) return "–";
  const value = ms / 1000;
  return value.toLocaleString(undefined, value < 10 ? { minimumFractionDigits: 2, maximumFractionDigits: 2 } : { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

export function share(part, whole) {
  if (!whole) return "0 %";
  const percent = (part / whole) * 100;
  if (part && percent < 0.1) return "<0.1 %";
  return `${percent.toLocaleString(undefined, { maximumFractionDigits: percent < 10 ? 1 : 0 })} %`;
}

/** What a group is called; of a conversation without a title that may be told, that it is not open. */
export function nameOf(groupBy, line) {
  if (line.isRest) return "All others";
  if (line.key === null) return NOBODY[groupBy];
  return line.name ?? (groupBy === "conversation" ? HIDDEN : line.key);
}

/** `3–20 November`, `28 October – 20 November`, with years where they differ or are not this one. */
export function days(span) {
  const [from, to] = [new Date(`${span.from}T00:00Z`), new Date(`${span.to}T00:00Z`)];
  const tell = (date, options) => date.toLocaleDateString("en-GB", { timeZone: "UTC", ...options });
  const year = from.getUTCFullYear() !== to.getUTCFullYear() || to.getUTCFullYear() !== new Date().getFullYear() ? { year: "numeric" } : {};
  const last = tell(to, { day: "numeric", month: "long", ...year });
  if (span.from === span.to) return last;
  const sameMonth = span.from.slice(0, 7) === span.to.slice(0, 7);
  return sameMonth ? `${from.getUTCDate()}–${last}` : `${tell(from, { day: "numeric", month: "long", ...(from.getUTCFullYear() !== to.getUTCFullYear() ? year : {}) })} – ${last}`;
}

/**
 * Names of the parts of a span: short ones for an axis, long ones for a table and a pointer.
 * @param {string[]} starts instants
 * @returns {{axis: string, full: string}[]}
 */
export function parts(starts, span) {
  const tell = (at, options) => new Date(at).toLocaleString("en-GB", { timeZone: span.timeZone, ...options });
  return starts.map((at) => {
    switch (span.unit) {
      case "hour":
        return { axis: tell(at, { hour: "2-digit", minute: "2-digit" }), full: tell(at, { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short" }) };
      case "day":
        return { axis: tell(at, { day: "numeric", month: "short" }), full: tell(at, { weekday: "long", day: "numeric", month: "long" }) };
      case "week":
        return { axis: tell(at, { day: "numeric", month: "short" }), full: `Week from ${tell(at, { day: "numeric", month: "long", year: "numeric" })}` };
      default:
        return { axis: tell(at, { month: "short", year: "2-digit" }), full: tell(at, { month: "long", year: "numeric" }) };
    }
  });
}
