/** What is looked at, as the address says it: every choice is in the URL, so that it can be shared and Back goes back. */

export const GROUPS = [
  ["agent", "Agent"],
  ["model", "Model"],
  ["provider", "Provider"],
  ["user", "Person"],
  ["conversation", "Conversation"],
  ["purpose", "Purpose"],
];
export const RANGES = [
  ["today", "Today"],
  ["week", "Week"],
  ["month", "Month"],
  ["all", "All"],
];
/** How a filter says: of none. */
export const NONE = "~";
const NAMES = GROUPS.map(([name]) => name);

/**
 * @typedef {{range: string, from: string, to: string, groupBy: string, filters: Record<string, string>, attempt: string}} Chosen
 * @param {string} search
 * @returns {Chosen}
 */
export function parse(search) {
  const asked = new URLSearchParams(search);
  const range = asked.get("range") ?? "month";
  const groupBy = asked.get("groupBy") ?? "agent";
  return {
    range: RANGES.some(([name]) => name === range) ? range : "month",
    from: day(asked.get("from")),
    to: day(asked.get("to")),
    groupBy: NAMES.includes(groupBy) ? groupBy : "agent",
    filters: Object.fromEntries(NAMES.filter((name) => asked.get(name)).map((name) => [name, asked.get(name)])),
    attempt: asked.get("attempt") ?? "",
  };
}

/** The address of a choice, shortest first: what is usual is left out. */
export function address(chosen) {
  const told = new URLSearchParams();
  if (chosen.from || chosen.to) {
    if (chosen.from) told.set("from", chosen.from);
    if (chosen.to) told.set("to", chosen.to);
  } else if (chosen.range !== "month") told.set("range", chosen.range);
  if (chosen.groupBy !== "agent") told.set("groupBy", chosen.groupBy);
  for (const [name, value] of Object.entries(chosen.filters)) told.set(name, value);
  if (chosen.attempt) told.set("attempt", chosen.attempt);
  return query(told);
}

/** What the API is asked: the same without what only this page knows. `more` is added. */
export function asked(chosen, more = {}) {
  const told = new URLSearchParams(chosen.from || chosen.to ? {} : { range: chosen.range });
  if (chosen.from) told.set("from", chosen.from);
  if (chosen.to) told.set("to", chosen.to);
  for (const [name, value] of Object.entries({ ...chosen.filters, ...more })) if (value) told.set(name, value);
  return query(told);
}

/** A choice that is narrowed to one group; `null` is the group of none. */
export function narrowed(chosen, name, key) {
  return { ...chosen, attempt: "", filters: { ...chosen.filters, [name]: key ?? NONE } };
}

export function widened(chosen, name) {
  const { [name]: _, ...filters } = chosen.filters;
  return { ...chosen, attempt: "", filters };
}

/** Whether the numbers of two choices are the same: the open attempt changes none. */
export function sameNumbers(one, other) {
  return one !== null && address({ ...one, attempt: "" }) === address({ ...other, attempt: "" });
}

function day(text) {
  return /^\d{4}-\d\d-\d\d$/.test(text ?? "") ? text : "";
}

function query(told) {
  const text = told.toString().replaceAll("%7E", "~");
  return text ? `?${text}` : "";
}
