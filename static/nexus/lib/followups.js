/** What a person may want to ask next, from what the last answer did. Rules, no model: it costs nothing. Pure. */

const AFTER_TOOL = {
  analyze_session_metrics: ["Compare it with the month", "Show me token usage statistics", "What's my session activity?"],
  get_token_usage: ["Which agent costs the most?", "How are my data metrics for the week?", "What's my session activity?"],
  get_session_activity: ["How are my data metrics for the week?", "Show me token usage statistics"],
  search_messages: ["Search a longer time", "Make a task of it"],
  create_task: ["Show my tasks", "What's my session activity?"],
};

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
  return [...new Set(offered)].filter((text) => !asked.has(text)).slice(0, 3);
}
