/** Budgets on the usage page: how far each one is. Makes elements; asks nothing. */
import { h, icon, stateMark } from "../lib/dom.js";
import { money } from "./words.js";

export const PERIODS = { day: "today", month: "this month", total: "in all" };
const OF = { workspace: "The whole workspace", user: "A person", agent: "An agent", token: "An API token", conversation: "A conversation" };

/**
 * How a budget stands, in parts of its limit (0 to 1) and in a word. What is spent comes first: both together are never
 * more than the bar is long.
 * @param {object} budget as on the wire
 */
export function standing(budget) {
  const [limit, spent, reserved] = [budget.limit, budget.spent, budget.reserved].map(Number);
  const part = (value) => (limit > 0 ? Math.min(1, Math.max(0, value / limit)) : 1);
  const used = part(spent);
  const held = Math.min(1 - used, part(reserved));
  const reached = Math.max(0, ...budget.alertAt.filter((percent) => limit > 0 && (spent / limit) * 100 >= percent));
  if (limit <= 0 || spent + reserved >= limit) return { used, held, kind: budget.hard ? "bad" : "warn", word: budget.hard ? "Used up" : "Over its limit" };
  if (reached) return { used, held, kind: "warn", word: `Over ${reached} %` };
  return { used, held, kind: "ok", word: "Room left" };
}

/** Whose it is: `Gemini Analyst`, or the kind of thing where its name may not be known. */
export function ofWhat(budget) {
  return budget.scope === "workspace" ? OF.workspace : (budget.scopeName ?? OF[budget.scope]);
}

const GLYPHS = { ok: "circle-check", warn: "triangle-alert", bad: "circle-x" };

/**
 * The list, or a word that there is none.
 * @param {object[]} items as on the wire
 * @param {{edit: (budget: object, line: HTMLElement) => void, end: (budget: object) => void}|null} [may] for admins
 */
export function budgets(items, may = null) {
  if (!items.length) return [h("p.none", {}, may ? "Nobody is held by a budget here. With one, requests that do not fit any more are refused before they are sent." : "Nobody is held by a budget here.")];
  return [h("ul.budgets", {}, ...items.map((budget) => line(budget, may)))];
}

function line(budget, may) {
  const now = standing(budget);
  const bar = h("div.lane3", { "aria-hidden": "true" }, h("i.u"), h("i.r"));
  bar.style.setProperty("--u", String(now.used * 100));
  bar.style.setProperty("--r", String(now.held * 100));
  bar.classList.add(now.kind);
  const held = Number(budget.reserved) > 0 ? `, ${money(budget.reserved)} held for requests under way` : "";
  const about = [ofWhat(budget), budget.hard ? "" : "only warns", budget.fromPlan ? "part of the plan" : ""].filter(Boolean).join(", ");
  const made = h(
    "li",
    { data: { budget: budget.id } },
    h("div.what", {}, h("b.cut", {}, budget.name), about === budget.name ? null : h("span.mut.cut", {}, about)),
    h("div.far", {}, bar, h("p.num", {}, `${money(budget.spent)} of ${money(budget.limit)} ${PERIODS[budget.period]}${held}`)),
    stateMark(now.kind, GLYPHS[now.kind], now.word),
  );
  if (may) {
    const button = (name, label, act) => h("button.ib", { type: "button", "aria-label": `${label}: ${budget.name}`, title: label, onclick: act }, icon(name));
    const acts = budget.fromPlan ? [] : [button("pencil", "Change", () => may.edit(budget, made)), button("trash-2", "End", () => may.end(budget))];
    made.append(h("div.change", {}, ...acts));
  }
  return made;
}
