/** What a text field offers while one writes in it: `/` at its beginning commands, `@` before a word agents, and the agent picker. */
import { agentItems, Menu } from "./menu.js";

export class PromptMenus {
  #menu = null;
  #kind = null;

  /**
   * @param {object} options
   * @param {HTMLElement & {agents: object[], agentId: string, commands: {name, description, icon?}[]}} options.host
   * @param {HTMLTextAreaElement} options.field
   * @param {HTMLElement} options.picker the button that opens the list of agents
   * @param {(agentId: string) => void} options.choose an agent from that list
   * @param {(item: {id: string, command: object}) => void} options.run a command
   * @param {(name: string, typed: number) => void} options.mention an agent in the text, of whose name so much is typed
   */
  constructor({ host, field, picker, choose, run, mention }) {
    Object.assign(this, { host, field, picker, choose, run, mention });
  }

  close() {
    this.#menu?.close();
  }

  /** @returns {boolean} whether the key was the menu's */
  key(event) {
    return Boolean(this.#menu?.key(event));
  }

  /** The field lost the focus: what it offered goes with it. */
  blurred() {
    if (this.#kind !== "agents") this.close();
  }

  pick() {
    if (this.#menu) return this.#menu.close();
    this.picker.setAttribute("aria-expanded", "true");
    this.#open("agents", "Agents", this.picker, (item) => this.choose(item.id));
    this.#menu.show(agentItems(this.host.agents, this.host.agentId));
    const keys = (event) => this.#menu?.key(event);
    this.picker.addEventListener("keydown", keys);
    this.#menu.closed = () => {
      this.picker.removeEventListener("keydown", keys);
      this.picker.setAttribute("aria-expanded", "false");
      this.#menu = null;
      this.#kind = null;
    };
    this.picker.focus();
  }

  suggest() {
    const before = this.field.value.slice(0, this.field.selectionStart);
    const command = /^\/([\w-]*)$/.exec(before);
    const mention = /(?:^|\s)@([\p{L}\w-]*)$/u.exec(before);
    if (command) return this.#offer("commands", "Commands", this.#commands(command[1]), this.run);
    if (mention) return this.#offer("mentions", "Agents", this.#agents(mention[1]), (item) => this.mention(item.label, mention[1].length));
    this.close();
  }

  #commands(wanted) {
    const matching = this.host.commands.filter((command) => command.name.startsWith(wanted.toLowerCase()));
    return matching.map((command) => ({ id: command.name, label: `/${command.name}`, detail: command.description, group: "Commands", icon: command.icon ?? "slash", command }));
  }

  #agents(typed) {
    const wanted = typed.toLowerCase();
    return agentItems(this.host.agents.filter((agent) => agent.isAvailable !== false && `${agent.name} ${agent.id}`.toLowerCase().includes(wanted)), null);
  }

  #offer(kind, label, items, choose) {
    if (!items.length) return this.close();
    if (this.#kind !== kind) {
      this.close();
      this.#open(kind, label, this.field, choose);
    }
    this.#menu.choose = choose;
    this.#menu.show(items);
  }

  #open(kind, label, owner, choose) {
    this.#kind = kind;
    this.#menu = new Menu({
      host: this.host,
      owner,
      label,
      choose,
      closed: () => {
        this.#menu = null;
        this.#kind = null;
      },
    });
  }
}
