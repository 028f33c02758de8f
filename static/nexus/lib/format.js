/** Numbers, money and times as people read them; the server's templates say the same. */

/** `2418` → `2,418`, in the locale's grouping. */
export function count(number) {
  return Number(number ?? 0).toLocaleString();
}

/** An exact decimal string of US dollars → `$0.0124`, or `$0`; null is unpriced, never 0. */
export function usd(amount) {
  if (amount === null || amount === undefined) return "unpriced";
  if (Number(amount) === 0) return "$0";
  return `$${Number(amount).toLocaleString(undefined, { minimumFractionDigits: 4, maximumFractionDigits: 4 })}`;
}

/** ms → `<0.01 s`, `0.88 s`, `9.4 s`, `2 min 5 s`. */
export function seconds(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  const value = Math.max(0, ms) / 1000;
  if (value < 0.01) return "<0.01 s";
  if (value < 1) return `${value.toFixed(2)} s`;
  if (value < 100) return `${value.toFixed(1)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

/** ms → whole seconds: `4 s`. */
export function wholeSeconds(ms) {
  const value = Math.max(0, Math.round(ms / 1000));
  return value < 100 ? `${value} s` : `${Math.floor(value / 60)} min ${value % 60} s`;
}

/** The person's own time zone, which the server draws in as well; the browser's until it is told. */
let zone;

/** @param {string} name e.g. `Europe/Oslo` */
export function setTimeZone(name) {
  try {
    new Intl.DateTimeFormat("en-GB", { timeZone: name });
    zone = name;
  } catch {
    zone = undefined; // a name that this browser does not know
  }
}

/** Time of day, `14:02`. */
export function clock(value) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return "";
  return date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone });
}

/** `Friday 20 November`. */
export function day(value) {
  const text = new Date(value).toLocaleDateString("en-GB", { weekday: "long", day: "numeric", month: "long", timeZone: zone });
  return text.replace(",", "");
}

/** How long ago, in words: `now`, `2 min`, `3 h`, `4 d`. */
export function since(value, now = Date.now()) {
  const minutes = Math.floor((now - new Date(value).getTime()) / 60_000);
  if (minutes < 1) return "now";
  if (minutes < 60) return `${minutes} min`;
  return minutes < 1440 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 1440)} d`;
}

/** Bytes → `0.2 kB`, `1.4 MB`. */
export function bytes(size) {
  return size < 1e6 ? `${Math.max(0.1, size / 1000).toFixed(1)} kB` : `${(size / 1e6).toFixed(1)} MB`;
}

const FREE = new Set(["local", "scripted", "ollama"]);

/** `2,418 tokens · $0.0124 · 9.4 s`; local models are free. Where nothing was counted only the time. */
export function tokenLine({ tokenUsage, cost, durationMs, provider, estimated }) {
  const parts = [];
  if (tokenUsage?.total) {
    parts.push(`${estimated ? "about " : ""}${count(tokenUsage.total)} tokens`);
    parts.push(FREE.has(provider) ? "free" : usd(cost?.total));
  }
  if (durationMs !== null && durationMs !== undefined) parts.push(seconds(durationMs));
  return parts.join(" · ");
}

/** What a tool was asked, in a line: `{"query": "budget", "limit": 5}` → `budget, 5`. */
export function inWords(input) {
  if (input === null || typeof input !== "object") return String(input ?? "");
  const plain = Object.values(input).filter((value) => typeof value === "string" || typeof value === "number");
  return plain.join(", ").slice(0, 120);
}
