/** The command palette: commands, conversations by title, and messages by their words. */
import { h, icon } from "../lib/dom.js";
import { api } from "../lib/api.js";
import { since } from "../lib/format.js";
import { closeOnBackdrop } from "./dialogs.js";

const WAIT_MS = 180;

/** A piece of markdown in one line, without its signs. */
const plain = (text) => text.replace(/[#|*`>]+|-{3,}/g, " ").replace(/\s+/g, " ").trim();

/**
 * @param {object} options
 * @param {() => {label: string, icon: string, hint?: string, run: () => void}[]} options.commands
 * @param {() => object[]} options.conversations
 */
export function openPalette({ commands, conversations }) {
  if (document.querySelector("dialog.palette")) return;
  const list = h("div.found-list", { role: "listbox", id: "palette-list", "aria-label": "Results" });
  const field = h("input", { type: "text", role: "combobox", "aria-expanded": "true", "aria-controls": "palette-list", "aria-autocomplete": "list", "aria-label": "Search and commands", placeholder: "Search conversations, or type a command", autocomplete: "off", spellcheck: "false" });
  const dialog = h("dialog.palette", { "aria-label": "Search and commands" }, h("div.field", {}, icon("search"), field, h("kbd", {}, "Esc")), list);
  let rows = [];
  let active = 0;
  let timer = null;
  let asked = "";

  const show = (items) => {
    rows = items;
    active = 0;
    const groups = new Map();
    items.forEach((item, index) => groups.set(item.group, [...(groups.get(item.group) ?? []), row(item, index)]));
    list.replaceChildren(...[...groups].map(([name, children]) => h("div", { role: "group", "aria-label": name }, h("div.grp", { "aria-hidden": "true" }, name), ...children)));
    if (!items.length) list.replaceChildren(h("p.mut.none", {}, "Nothing has these words."));
    mark();
  };
  const row = (item, index) => {
    const element = h("div.mi", { role: "option", id: `palette-${index}`, "aria-selected": "false" }, icon(item.icon), h("span.cut.grow", {}, item.label, item.detail ? h("span.d", {}, ` ${item.detail}`) : null), item.hint ? h("span.d.num", {}, item.hint) : null);
    element.addEventListener("pointermove", () => active !== index && ((active = index), mark()));
    element.addEventListener("click", () => take(index));
    return element;
  };
  const mark = () => {
    list.querySelectorAll('[role="option"]').forEach((element) => {
      const on = element.id === `palette-${active}`;
      element.classList.toggle("sel", on);
      element.setAttribute("aria-selected", String(on));
      if (on) element.scrollIntoView({ block: "nearest" });
    });
    if (rows.length) field.setAttribute("aria-activedescendant", `palette-${active}`);
    else field.removeAttribute("aria-activedescendant");
  };
  const take = (index) => {
    const item = rows[index];
    if (!item) return;
    dialog.close();
    item.run();
  };
  const local = (text) => {
    const wanted = text.toLowerCase();
    const found = conversations()
      .filter((one) => one.title.toLowerCase().includes(wanted))
      .slice(0, text ? 6 : 5)
      .map((one) => ({ group: text ? "Conversations" : "Recent", icon: "message-square", label: one.title, hint: since(one.lastActiveAt), run: () => location.assign(`/c/${one.id}/`) }));
    const acts = commands()
      .filter((one) => one.label.toLowerCase().includes(wanted))
      .map((one) => ({ ...one, group: "Commands" }));
    return text ? [...found, ...acts] : [...acts, ...found];
  };
  const search = async (text) => {
    asked = text;
    const base = local(text);
    if (text.length < 2) return;
    try {
      const { items } = await api("GET", `/api/search?q=${encodeURIComponent(text)}&limit=8`);
      if (asked !== text || !dialog.open) return;
      const hits = items.map((hit) => ({ group: "Messages", icon: "file-text", label: plain(hit.snippet), detail: hit.conversationTitle, hint: since(hit.createdAt), run: () => location.assign(`/c/${hit.conversationId}/#m-${hit.messageId}`) }));
      const all = { group: "Messages", icon: "search", label: `All messages with “${text}”`, run: () => location.assign(`/history/?q=${encodeURIComponent(text)}`) };
      show([...base, ...hits, all]);
    } catch {
      if (asked === text) show([...base, { group: "Messages", icon: "triangle-alert", label: "The search did not answer. Try again.", run: () => openPalette({ commands, conversations }) }]);
    }
  };
  field.addEventListener("input", () => {
    const text = field.value.trim();
    asked = text;
    show(local(text));
    clearTimeout(timer);
    timer = setTimeout(() => search(text), WAIT_MS);
  });
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (rows.length) active = (active + (event.key === "ArrowDown" ? 1 : -1) + rows.length) % rows.length;
      mark();
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(active);
    }
  });
  dialog.addEventListener("close", () => {
    clearTimeout(timer);
    dialog.remove();
  });
  closeOnBackdrop(dialog);
  document.body.append(dialog);
  dialog.showModal();
  field.focus();
  show(local(""));
}
