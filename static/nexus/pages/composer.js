/** What the composer needs on every page that has one: agents, commands, uploads, typing. */
import { api, uploadFile } from "../lib/api.js";
import { composerOpen } from "./access.js";
import { AtMost } from "./at-most.js";

const ICONS = { help: "circle-help", clear: "undo-2", settings: "settings-2", model: "cpu", search: "search", export: "download", cost: "coins", retry: "rotate-cw", rename: "pencil" };
/** Done by the page itself, where there is a conversation. */
const OWN = [
  { name: "retry", description: "answer again" },
  { name: "rename", description: "change the title" },
  { name: "export", description: "as Markdown" },
];
const EVERYWHERE = [{ name: "cost", description: "show what messages cost at most, or stop showing it" }];

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
  const atMost = new AtMost(shell, input);
  input.addEventListener("prompt-send", (event) => {
    const { text, files, agentId } = event.detail;
    if (text !== "/cost") return send(text, files, agentId);
    event.preventDefault();
    input.value = "";
    atMost.toggle();
  });
  input.addEventListener("prompt-stop", () => stop());
  input.addEventListener("prompt-typing", (event) => shell.doing(event.detail.typing ? "typing" : "viewing"));
  input.addEventListener("prompt-command", (event) => {
    if (event.detail.name === "cost") atMost.toggle();
    else if (!command?.(event.detail.name)) return;
    event.preventDefault();
  });
  const load = () => loadCommands(input, Boolean(command));
  if (input.contains(document.activeElement)) load();
  else input.addEventListener("focusin", load, { once: true });
}

async function loadCommands(input, withOwn) {
  const own = [...(withOwn ? OWN : []), ...EVERYWHERE].map((one) => ({ ...one, icon: ICONS[one.name] }));
  try {
    const { items } = await api("GET", "/api/commands");
    const served = items.map((one) => ({ name: one.name.replace(/^\//, ""), description: one.description ?? "", icon: ICONS[one.name.replace(/^\//, "")], takesText: /\s/.test(one.usage ?? "") }));
    input.commands = [...served, ...own.filter((one) => !served.some((other) => other.name === one.name))];
  } catch {
    input.commands = own; // offline: commands can still be written by hand
  }
}
