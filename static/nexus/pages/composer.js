/** What the composer needs on every page that has one: agents, commands, uploads, typing. */
import { api, uploadFile } from "../lib/api.js";
import { composerOpen } from "./access.js";

const ICONS = { help: "circle-help", clear: "undo-2", settings: "settings-2", model: "cpu", search: "search", export: "download", retry: "rotate-cw", rename: "pencil" };
/** Done by the page itself, where there is a conversation. */
const OWN = [
  { name: "retry", description: "answer again" },
  { name: "rename", description: "change the title" },
  { name: "export", description: "as Markdown" },
];

/**
 * @param {import("./shell.js").Shell} shell
 * @param {HTMLElement} input `nexus-prompt-input`
 * @param {{draft: string|null, send: (text: string, files: object[], agentId: string) => void, stop: () => void,
 *   command?: (name: string) => boolean}} options
 */
export function composer(shell, input, { draft, send, stop, command = null }) {
  input.agents = [...shell.agents.values()];
  if (!shell.agentOf(input.agentId)?.isAvailable) {
    const ready = input.agents.find((agent) => agent.isAvailable);
    if (ready && !shell.agentOf(input.agentId)) input.agentId = ready.id;
  }
  input.keepDraft(`${shell.user.id}.${draft ?? `new.${shell.workspace.slug}`}`);
  if (shell.user.role === "viewer") input.readonly = true;
  else {
    if (shell.readonly) composerOpen(input, false);
    input.forget = (fileId) => api("DELETE", `/api/files/${fileId}`).catch(() => {}); // the server forgets it after a day
    input.upload = (file, onProgress) => uploadFile(file, onProgress, shell.initial.limits?.uploadBytes ?? Infinity);
  }
  input.addEventListener("prompt-send", (event) => send(event.detail.text, event.detail.files, event.detail.agentId));
  input.addEventListener("prompt-stop", () => stop());
  input.addEventListener("prompt-typing", (event) => shell.doing(event.detail.typing ? "typing" : "viewing"));
  input.addEventListener("prompt-command", (event) => command?.(event.detail.name) && event.preventDefault());
  input.addEventListener("focusin", () => loadCommands(input, Boolean(command)), { once: true });
}

async function loadCommands(input, withOwn) {
  const own = withOwn ? OWN.map((one) => ({ ...one, icon: ICONS[one.name] })) : [];
  try {
    const { items } = await api("GET", "/api/commands");
    const served = items.map((one) => ({ name: one.name.replace(/^\//, ""), description: one.description ?? "", icon: ICONS[one.name.replace(/^\//, "")], takesText: /\s/.test(one.usage ?? "") }));
    input.commands = [...served, ...own.filter((one) => !served.some((other) => other.name === one.name))];
  } catch {
    input.commands = own; // offline: commands can still be written by hand
  }
}
