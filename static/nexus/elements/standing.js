/** How an answer stands, in words: beside its name while it lives, and in a line below when it did not end well. Pure. */
import { isLive } from "../client/run.js";
import { meter, meterWords } from "../client/meter.js";
import { count, usd, wholeSeconds } from "../lib/format.js";

/**
 * @param {object} entry of `client/thread.js`
 * @param {number} now ms
 * @param {boolean} [online]
 * @param {object|null} [price] of the run that is under way, as `client/meter.js` takes it
 * @returns {{kind: string, icon: string, word: string, more?: string, spin?: boolean}|null}
 */
export function standing(entry, now, online = true, price = null) {
  const { pending, run } = entry;
  if (pending) {
    if (pending.status === "failed") return { kind: "bad", icon: "triangle-alert", word: "Not sent" };
    if (!online) return { kind: "off", icon: "clock", word: "Goes when you are back" };
    return now - pending.at > 1500 ? { kind: "off", icon: "clock", word: "Sending" } : null;
  }
  if (!run || entry.from === "user") return null;
  if (run.status === "cancelled") return { kind: "off", icon: "square", word: "Stopped" };
  if (run.status === "failed" && OF_MONEY[run.error?.code]) return { kind: "warn", icon: "triangle-alert", word: OF_MONEY[run.error.code] };
  if (run.status === "failed") return { kind: "bad", icon: "triangle-alert", word: "Failed" };
  if (!isLive(run)) return null;
  if (run.status === "queued") return { kind: "off", icon: "clock", word: "Queued" };
  if (run.status === "waiting") return { kind: "warn", icon: "shield-alert", word: "Waiting", more: "for a decision" };
  if (run.lastSeq === 0 && run.storedSeq > 0) return { kind: "run", icon: "loader-circle", word: "Catching up", spin: true };
  if (run.notice?.kind === "retrying") {
    const left = Math.max(0, run.notice.at + (run.notice.delayMs ?? 0) - now);
    const when = left > 0 ? ` in ${wholeSeconds(left)}` : "";
    return { kind: "warn", icon: "rotate-cw", word: "Trying again", more: `${reason(run.notice.code)}, attempt ${run.notice.attempt} of 3${when}` };
  }
  if (!run.items.length) {
    const from = run.startedAt ?? run.queuedAt ?? now;
    return { kind: "run", icon: "loader-circle", word: "Waiting for the first words", more: wholeSeconds(now - from), spin: true };
  }
  return { kind: "run", icon: "loader-circle", word: "Answering", more: meterWords(meter(run, price), { count, usd }), spin: true };
}

/**
 * How far a run of several steps is, for a thin line under its name; null when there is nothing to tell.
 * @returns {{part: number, words: string}|null} part 0..1
 */
export function progressOf(run) {
  const told = run && isLive(run) ? run.progress : null;
  if (!told) return null;
  const done = Math.min(Math.max(told.currentStep ?? 0, 0), told.totalSteps ?? 0);
  const steps = told.totalSteps > 1 ? `${done} of ${told.totalSteps} steps` : "";
  const percent = typeof told.percentage === "number" ? Math.min(100, Math.max(0, told.percentage)) : null;
  if (!steps && percent === null) return null;
  const left = told.estimatedTimeRemaining >= 5 ? `about ${roughly(told.estimatedTimeRemaining)} left` : "";
  const words = [told.message, steps || `${Math.round(percent)} %`, left].filter(Boolean).join(" · ");
  return { part: percent === null ? done / told.totalSteps : percent / 100, words };
}

/** s → `20 s`, `2 min`, `1 h 10 min`: no more exact than a guess is. */
function roughly(seconds) {
  if (seconds < 55) return `${Math.max(5, Math.round(seconds / 5) * 5)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const LENGTH_STOPS = new Set(["length", "max_tokens"]);

/** True where an answer ended because it reached its longest length. */
export function isCut(run) {
  return run?.status === "complete" && LENGTH_STOPS.has(run.stopReason);
}

/** Runs that a budget ended: nothing is broken, somebody decides whether there is more money. */
const OF_MONEY = { budget_exceeded: "Out of budget", price_unknown: "No price" };

const REASONS = { rate_limited: "rate limit", rate_limit_exceeded: "rate limit", overloaded: "provider overloaded", connection_error: "no connection", timeout: "no answer in time" };

function reason(code) {
  return REASONS[code] ?? String(code ?? "provider error").replaceAll("_", " ");
}

/**
 * @param {object} entry
 * @param {{nameOf?: (userId: string) => string, last?: boolean, continued?: boolean, unanswered?: boolean, answerer?: string}} view
 * @returns {{kind: string, icon: string, word: string, text: string, actions?: [string, string][]}[]}
 */
export function ending(entry, view = {}) {
  const { pending, run, message } = entry;
  const lines = [];
  if (pending?.status === "failed") {
    const actions = [["resend", "Send again"], ["discard", "Remove"]];
    lines.push({ kind: "bad", icon: "triangle-alert", word: "Not sent", text: pending.error?.message ?? "It is kept here.", actions });
  }
  if (entry.from === "user" && message && view.unanswered) {
    const name = view.answerer ?? "the agent";
    lines.push({ kind: "off", icon: "info", word: "No answer yet", text: "", actions: [["regenerate", `Ask ${name}`]] });
  }
  if (!run || entry.from === "user") return lines;
  const written = run.items.length > 0 || Boolean(message?.parts.length);
  for (const note of run.notes) {
    lines.push({ kind: "off", icon: "refresh-cw", word: "Changed model", text: `${note.provider ? `${note.provider} / ` : ""}${note.model} goes on` });
  }
  if (run.status === "cancelled") {
    const by = view.nameOf?.(run.cancelledBy ?? "") || "";
    const actions = written ? [["resume", "Continue"]] : [["regenerate", "Try again"]];
    lines.push({ kind: "off", icon: "square", word: by ? `Stopped by ${by}` : "Stopped", text: written ? "What was written is kept." : "Nothing was written yet.", actions });
  }
  if (run.status === "failed") {
    // With something done, it can go on from its last finished step; to write it all anew is offered beside that.
    const actions = written ? [["resume", "Continue"], ["regenerate", "Try again"]] : [["regenerate", "Try again"]];
    const word = OF_MONEY[run.error?.code];
    if (word) {
      const admin = ["owner", "admin"].includes(view.role);
      const way = run.error.code === "price_unknown" ? "" : admin ? " Raise it, and the answer can go on." : " An admin can raise it; then the answer can go on.";
      lines.push({ kind: "warn", icon: "triangle-alert", word, text: `${run.error.message}${way}`, actions: [["budgets", admin ? "Change budgets" : "See budgets"], ...actions] });
    } else lines.push({ kind: "bad", icon: "triangle-alert", word: "Failed", text: run.error?.message ?? "The answer broke off. What was written is kept.", actions });
  }
  if (isCut(run) && !view.continued) {
    const actions = view.last && message ? [["continue", "Continue"]] : [];
    lines.push({ kind: "off", icon: "skip-forward", word: "Cut by its length", text: "The answer reached the longest length that this agent may write.", actions });
  }
  if (run.status === "complete" && !run.items.some((item) => item.kind === "text") && !message?.content && run.lastSeq > 0) {
    lines.push({ kind: "off", icon: "info", word: "Empty", text: "The model ended without writing anything." });
  }
  return lines;
}
