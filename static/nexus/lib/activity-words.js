/** Activities in words: "**Priya** asked Gemini Analyst". Pure. */
import { usd } from "./format.js";

/**
 * @param {object} activity as on the wire
 * @param {{people: Map<string, string>, agents: Map<string, object>, me: string|null}} names
 * @returns {{id: string, kind: string, who: object, text: string, createdAt: string, href: string|null}}
 */
export function activityLine(activity, { people, agents }) {
  const { activityType: type, metadata = {} } = activity;
  const agent = agents.get(metadata.agentId ?? activity.agentId);
  const agentName = agent?.name ?? metadata.agentId ?? activity.agentId ?? "an agent";
  const byAgent = ["answered", "failed", "waiting"].includes(type) || (!activity.userId && Boolean(activity.agentId ?? metadata.agentId));
  if (type === "budget-warning") {
    return { id: activity.id, kind: type, who: { id: metadata.budgetId, name: metadata.name ?? "A budget", kind: "agent", icon: "" }, text: `reached ${metadata.percent} % of ${usd(metadata.limit)}`, createdAt: activity.createdAt, href: "/usage/" };
  }
  const name = activity.userName ?? activity.user?.name ?? people.get(activity.userId) ?? metadata.userName ?? "Somebody";
  const who = byAgent ? { id: metadata.agentId ?? activity.agentId, name: agentName, kind: "agent", icon: agent?.icon } : { id: activity.userId, name, kind: "person" };
  const conversationId = activity.conversationId ?? metadata.conversationId ?? null;
  return { id: activity.id, kind: type, who, text: words(type, metadata, agentName, byAgent), createdAt: activity.createdAt, href: conversationId ? `/c/${conversationId}/` : null };
}

function words(type, metadata, agentName, byAgent) {
  switch (type) {
    case "asked":
      return `asked ${agentName}`;
    case "answered":
      return metadata.cost && Number(metadata.cost) > 0 ? `finished, ${usd(metadata.cost)}` : "finished";
    case "stopped":
      return byAgent ? "was stopped" : `stopped ${agentName}`;
    case "failed":
      return "could not finish";
    case "waiting":
      return metadata.toolName === "call_human" ? "asks a question" : "waits for approval";
    case "shared":
      return metadata.visibility === "workspace" ? "opened a conversation to everyone" : "shared a conversation";
    case "steered":
      return `told ${agentName} something`;
    case "took-control":
      return `took control of ${agentName}`;
    case "gave-control":
      return `handed over control of ${agentName}`;
    case "tool-approved":
      return `approved ${metadata.toolName ?? "a call"}`;
    case "tool-denied":
      return `denied ${metadata.toolName ?? "a call"}`;
    case "tool-answered":
      return `answered ${agentName}`;
    case "tool-expired":
      return `waited in vain for a decision on ${metadata.toolName ?? "a call"}`;
    case "tool-withdrawn":
      return `was stopped before a decision on ${metadata.toolName ?? "a call"}`;
    case "tool-ran":
      return `${metadata.status === "COMPLETED" ? "ran" : "could not run"} ${metadata.toolName ?? "a tool"}`;
    case "user-joined":
      return "joined";
    case "user-left":
      return "left";
    case "file-opened":
      return `opened ${metadata.filePath ?? metadata.file ?? "a file"}`;
    case "file-saved":
      return metadata.files > 1 ? `saved ${metadata.files} files` : `saved ${metadata.filePath ?? metadata.file ?? "a file"}`;
    case "suggestion-clicked":
      return "took a suggestion";
    default:
      return String(type).replaceAll(/[-_.]/g, " ");
  }
}
