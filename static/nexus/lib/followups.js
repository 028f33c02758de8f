/** What a person may want to ask next, from what the last answer did. Rules, no model: it costs nothing. Pure. */

const AFTER_TOOL = {
  analyze_session_metrics: ["How are my data metrics for the month?", "Show me token usage statistics", "What's my session activity?"],
  get_token_usage: ["Show me token usage for today", "How are my data metrics for the week?", "What's my session activity?"],
  get_session_activity: ["How are my data metrics for the week?", "Show me token usage statistics"],
  create_task: ["What's my session activity?"],
};
/** For an agent without tools: what can be asked of any answer. */
const OF_ANY_ANSWER = ["Say it more briefly", "Explain it more simply", "Give an example"];

/**
 * @param {{run: object|null, message: object|null}|null} last the last entry
 * @param {object|null} agent its agent
 * @param {Set<string>} asked what was asked here already
 * @returns {string[]} at most three
 */
export function followUps(last, agent, asked) {
  if (!last || !agent) return [];
  const tools = [...(last.run?.items ?? []).filter((item) => item.kind === "tool").map((item) => item.call.toolName), ...(last.message?.parts ?? []).filter((part) => part.type === "tool_call").map((part) => part.toolName)];
  const known = new Set(agent.tools ?? []);
  const offered = [...tools.flatMap((tool) => AFTER_TOOL[tool] ?? []).filter(() => known.size > 0 || agent.provider === "scripted"), ...(agent.starters ?? [])];
  if (last.message && known.size === 0 && agent.provider !== "scripted") return OF_ANY_ANSWER.filter((text) => !asked.has(text));
  return [...new Set(offered)].filter((text) => !asked.has(text)).slice(0, 3);
}
