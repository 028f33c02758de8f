/**
 * A list to choose from, above a field or a button: slash commands, mentions, agents. Not an element of its own: whoever
 * opens it keeps the focus and hands it keys (`role=listbox`, `aria-activedescendant`).
 */
import { avatar, h, icon } from "../lib/dom.js";

let serial = 0;

/** @typedef {{id: string, label: string, detail?: string, group?: string, icon?: string, agent?: object, selected?: boolean, disabled?: boolean, reason?: string}} Item */

export class Menu {
  /**
   * @param {object} options
   * @param {HTMLElement} options.host the menu is placed inside it
   * @param {HTMLElement} options.owner has the focus; told the active row
   * @param {string} options.label
   * @param {(item: Item) => void} options.choose
   * @param {() => void} [options.closed]
   */
  constructor({ host, owner, label, choose, closed }) {
    this.owner = owner;
    this.choose = choose;
    this.closed = closed;
    this.id = `menu-${++serial}`;
    this.items = [];
    this.active = -1;
    this.element = h("div.menu.pop", { role: "listbox", id: this.id, "aria-label": label });
    host.append(this.element);
    owner.setAttribute("aria-controls", this.id);
    this.#outside = (event) => {
      if (!host.contains(event.target)) this.close();
    };
    document.addEventListener("pointerdown", this.#outside, true);
  }

  #outside;

  /** @param {Item[]} items */
  show(items) {
    this.items = items;
    const groups = new Map();
    items.forEach((item, index) => groups.set(item.group ?? "", [...(groups.get(item.group ?? "") ?? []), this.#row(item, index)]));
    this.element.replaceChildren(
      ...[...groups].map(([name, rows]) => (name ? h("div", { role: "group", "aria-label": name }, h("div.grp", { "aria-hidden": "true" }, name), ...rows) : h("div", { role: "presentation" }, ...rows))),
    );
    const chosen = items.findIndex((item) => item.selected);
    this.#activate(chosen >= 0 ? chosen : items.findIndex((item) => !item.disabled));
  }

  #row(item, index) {
    const glyph = item.agent ? avatar({ ...item.agent, kind: "agent" }, "sm") : item.icon ? icon(item.icon) : null;
    const row = h(
      "div.mi",
      { role: "option", id: `${this.id}-${index}`, "aria-selected": "false", "aria-disabled": item.disabled ? "true" : null },
      glyph,
      h("span", {}, item.label),
      h("span.d.cut.grow", {}, item.detail ?? ""),
      item.reason ? h("span.st.unk.loud", {}, icon(item.reasonIcon ?? "key-round", "s"), h("span", {}, item.reason)) : null,
      item.selected ? icon("check", "s") : null,
    );
    row.addEventListener("pointerdown", (event) => event.preventDefault());
    row.addEventListener("pointermove", () => !item.disabled && this.#activate(index));
    row.addEventListener("click", () => !item.disabled && this.#take(index));
    return row;
  }

  /** @returns {boolean} whether the key was for the menu */
  key(event) {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") this.#move(event.key === "ArrowDown" ? 1 : -1);
    else if ((event.key === "Enter" || event.key === "Tab") && this.items[this.active]) this.#take(this.active);
    else if (event.key === "Escape") this.close();
    else return false;
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  close() {
    if (!this.element.isConnected) return;
    document.removeEventListener("pointerdown", this.#outside, true);
    this.element.remove();
    this.owner.removeAttribute("aria-activedescendant");
    this.owner.removeAttribute("aria-controls");
    this.closed?.();
  }

  #take(index) {
    const item = this.items[index];
    if (!item || item.disabled) return;
    this.close();
    this.choose(item);
  }

  #move(by) {
    if (!this.items.some((item) => !item.disabled)) return;
    let next = this.active;
    do next = (next + by + this.items.length) % this.items.length;
    while (this.items[next].disabled);
    this.#activate(next);
  }

  #activate(index) {
    this.active = index;
    for (const row of this.element.querySelectorAll('[role="option"]')) {
      const on = row.id === `${this.id}-${index}`;
      row.classList.toggle("sel", on);
      row.setAttribute("aria-selected", String(on));
      if (on) row.scrollIntoView({ block: "nearest" });
    }
    if (index >= 0) this.owner.setAttribute("aria-activedescendant", `${this.id}-${index}`);
    else this.owner.removeAttribute("aria-activedescendant");
  }
}

/** Agents as rows: ready first, then those that need setting up, with the reason. */
export function agentItems(agents, chosen) {
  const ready = agents.filter((agent) => agent.isAvailable !== false);
  const waiting = agents.filter((agent) => agent.isAvailable === false);
  const row = (agent, group) => ({
    id: agent.id,
    label: agent.name,
    detail: agent.provider === "local" ? "free, this machine" : agent.provider === "scripted" ? "demo, rules, no AI" : agent.model,
    group,
    agent,
    selected: agent.id === chosen,
    disabled: group !== "Ready",
    reason: group === "Ready" ? null : agent.needsKey ? "Needs a key" : shortReason(agent),
    reasonIcon: agent.needsKey ? "key-round" : "unplug",
  });
  return [...ready.map((agent) => row(agent, "Ready")), ...waiting.map((agent) => row(agent, "Needs setting up"))];
}

function shortReason(agent) {
  return agent.provider === "ollama" ? "Ollama not found" : "Not ready";
}
