/** What a conversation took: the server's sum over all its ended runs, and those that ended since. Pure. */

const FREE = new Set(["local", "scripted", "ollama"]);

/**
 * @param {ReturnType<typeof import("./reducer.js").initialState>} state
 * @returns {{tokens: number, cost: string|null, free: boolean}} cost in US dollars, null where nothing is priced
 */
export function spent(state) {
  const { totals } = state;
  const since = totals ? Date.parse(totals.at) : -Infinity;
  const runs = Object.values(state.runs).filter((run) => run.tokenUsage?.total && !run.superseded && run.endedAt > since);
  const costs = [totals?.cost, ...runs.map((run) => run.cost?.total)].filter((cost) => cost !== null && cost !== undefined);
  return {
    tokens: runs.reduce((sum, run) => sum + run.tokenUsage.total, totals?.tokens ?? 0),
    cost: costs.length ? String(costs.reduce((sum, cost) => sum + Number(cost), 0)) : null,
    free: (totals?.free ?? true) && runs.every((run) => FREE.has(run.provider)),
  };
}
