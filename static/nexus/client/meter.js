/**
 * What a live run took up to now. Steps that are finished are exact; of the one that streams, what is written is
 * reckoned here, and its prompt where somebody asked for its price. Pure.
 */
import { isLive, written } from "./run.js";

const CHARS_PER_TOKEN = 4;

/**
 * @param {object} run
 * @param {{promptTokens: number, promptCost: string|null, outputPerMillion: string|null}|null} [price] of its first request
 * @returns {{tokens: number, cost: number|null}|null} cost in US dollars, null where it is not known; null before there is anything
 */
export function meter(run, price = null) {
  if (!isLive(run)) return null;
  const fresh = Math.ceil(Math.max(0, written(run) - run.counted) / CHARS_PER_TOKEN);
  const done = run.progress?.tokensUsed ?? 0;
  if (!fresh && !done) return null;
  const first = !done && price ? price : null;
  const each = price?.outputPerMillion ?? null;
  const finished = done ? (run.progress.cost ?? null) : (first?.promptCost ?? null);
  const known = finished !== null && (each !== null || !fresh);
  return { tokens: done + fresh + (first?.promptTokens ?? 0), cost: known ? Number(finished) + (fresh * Number(each ?? 0)) / 1e6 : null };
}

/** `about 1,240 tokens · $0.0031`; nothing where there is nothing yet. */
export function meterWords(told, { count, usd }) {
  if (!told) return "";
  const tokens = `about ${count(told.tokens)} tokens`;
  return told.cost === null ? tokens : `${tokens} · ${told.cost === 0 ? "free" : usd(told.cost)}`;
}
