/** How an answer stands, in words: beside its name while it lives, and in a line below when it did not end well. Pure. */
import { isLive } from "../client/run.js";
import { wholeSeconds } from "../lib/format.js";

/**
 * @param {object} entry of `client/thread.js`
 * @param {number} now ms
 * @param {boolean} [online]
 * @returns {{kind: string, icon: string, word: string, more?: string, spin?: boolean}|null}
 */
export function standing(entry, now, online = true) {
  const { pending, run } = entry;
  if (pending) {
    if (pending.status === "failed") return { kind: "bad", icon: "triangle-alert", word: "Not sent" };
    if (!online) return { kind: "off", icon: "clock", word: "Goes when you are back" };
    return now - pending.at > 1500 ? { kind: "off", icon: "clock", word: "Sending" } : null;
  }
  if (!run || entry.from === "user") return null;
  if (run.status === "cancelled") return { kind: "off", icon: "square", word: "Stopped" };
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
  if (run.progress?.percentage !== undefined && run.progress.percentage < 100) return { kind: "run", icon: "loader-circle", word: "Answering", more: `${Math.round(run.progress.percentage)} %`, spin: true };
  return { kind: "run", icon: "loader-circle", word: "Answering", spin: true };
}

const REASONS = { rate_limited: "rate limit", rate_limit_exceeded: "rate limit", overloaded: "provider overloaded", connection_error: "no connection", timeout: "no answer in time" };

function reason(code) {
  return REASONS[code] ?? String(code ?? "provider error").replaceAll("_", " ");
}

/**
 * @param {object} entry
 * @param {{nameOf?: (userId: string) => string}} view
 * @returns {{kind: string, icon: string, word: string, text: string, actions?: [string, string][]}[]}
 */
export function ending(entry, view = {}) {
  const { pending, run, message } = entry;
  const lines = [];
  if (pending?.status === "failed") {
    const actions = [["resend", "Send again"], ["discard", "Remove"]];
    lines.push({ kind: "bad", icon: "triangle-alert", word: "Not sent", text: pending.error?.message ?? "It is kept here.", actions });
  }
  if (!run || entry.from === "user") return lines;
  for (const note of run.notes) {
    lines.push({ kind: "off", icon: "refresh-cw", word: "Changed model", text: `${note.provider ? `${note.provider} / ` : ""}${note.model} goes on` });
  }
  if (run.status === "cancelled") {
    const by = view.nameOf?.(run.cancelledBy ?? "") || "";
    lines.push({ kind: "off", icon: "square", word: by ? `Stopped by ${by}` : "Stopped", text: "What was written is kept.", actions: [["continue", "Continue"]] });
  }
  if (run.status === "failed") {
    const actions = run.error?.retryable === false && !run.items.length ? [["regenerate", "Try again"]] : [[run.items.length ? "continue" : "regenerate", run.items.length ? "Continue" : "Try again"]];
    lines.push({ kind: "bad", icon: "triangle-alert", word: "Failed", text: run.error?.message ?? "The answer broke off. What was written is kept.", actions });
  }
  if (run.status === "complete" && ["length", "max_tokens"].includes(run.stopReason)) {
    lines.push({ kind: "off", icon: "skip-forward", word: "Cut", text: "The answer reached the longest length that this agent may write.", actions: [["continue", "Continue"]] });
  }
  if (run.status === "complete" && !run.items.some((item) => item.kind === "text") && !message?.content && run.lastSeq > 0) {
    lines.push({ kind: "off", icon: "info", word: "Empty", text: "The model ended without writing anything." });
  }
  return lines;
}
