/** The first page: a question to the chosen agent begins a conversation; the gallery chooses another agent. */
import { composer } from "./composer.js";
import { offerRestore } from "./conversation-menu.js";
import { WaitingMessages } from "./waiting.js";

export class HomePage {
  constructor(shell) {
    this.shell = shell;
    this.input = document.querySelector("nexus-prompt-input");
    this.sending = false;
    if (this.input) {
      composer(shell, this.input, { draft: null, send: (text, files, agentId) => this.#ask(text, files, agentId), stop: () => {} });
      this.input.addEventListener("prompt-agent", (event) => this.#choose(event.detail.agentId));
      new WaitingMessages(shell, document.querySelector("[data-waiting]"), {
        again: (message) => this.#go(() => shell.client.resend(message.clientId)),
        remove: (message) => this.#takeBack(message),
      });
    }
    this.temporary = document.querySelector("[data-temporary]");
    this.temporary?.addEventListener("click", () => this.#temporary(this.temporary.getAttribute("aria-pressed") !== "true"));
    document.querySelector("nexus-suggestions")?.addEventListener("suggestion-click", (event) => {
      this.shell.client.suggestionClicked(event.detail.suggestion);
      this.#ask(event.detail.suggestion, [], this.#agentFor(event.detail.suggestion));
    });
    this.#gallery();
  }

  start() {
    offerRestore(this.shell);
  }

  /** A starter about real data goes to an agent that can read it, where the chosen one has no tools. */
  #agentFor(starter) {
    const chosen = this.shell.agentOf(this.input.agentId);
    if (chosen?.tools?.length) return chosen.id;
    const able = this.shell.client.state.agents?.find((agent) => agent.isAvailable && agent.tools?.length && agent.starters?.includes(starter));
    return able?.id ?? this.input.agentId;
  }

  #ask(text, files, agentId) {
    const input = files.length ? [...(text ? [{ type: "text", text }] : []), ...files.map((file) => ({ type: "image", fileId: file.fileId }))] : text;
    const temporary = this.temporary?.getAttribute("aria-pressed") === "true";
    return this.#go(() => this.shell.client.sendMessage(input, { agentId, files, temporary }));
  }

  /** To the new conversation. While there is no connection the message waits below the field, with its way back. */
  async #go(send) {
    if (this.sending) return;
    this.sending = this.shell.client.link.isOpen;
    this.input.status = this.sending ? "streaming" : "ready";
    try {
      const { conversationId } = await send();
      location.assign(`/c/${conversationId}/`);
    } catch {
      this.sending = false;
      this.input.status = "error"; // what and why stands below the field
    }
  }

  #takeBack(message) {
    this.shell.client.discard(message.clientId);
    this.input.restore(message.text, message.files);
    this.input.focus();
    this.sending = false;
    this.input.status = "ready";
  }

  #temporary(on) {
    this.temporary.setAttribute("aria-pressed", String(on));
    document.querySelector("[data-temporary-note]").hidden = !on;
    this.input.field.placeholder = on ? "Ask. It is gone after a day" : this.input.getAttribute("placeholder");
    this.input.focus();
  }

  #choose(agentId) {
    for (const card of document.querySelectorAll("[data-agent]")) card.classList.toggle("on", card.dataset.agent === agentId);
    const agent = this.shell.agentOf(agentId);
    const suggestions = document.querySelector("nexus-suggestions");
    if (suggestions && agent?.starters) suggestions.items = agent.starters;
    document.querySelector(".local")?.toggleAttribute("hidden", !["local", "scripted"].includes(agent?.provider) || document.querySelector(".local").dataset.provider !== agent.provider);
  }

  #gallery() {
    const cards = [...document.querySelectorAll("[data-agent]")];
    document.querySelector(".gal")?.addEventListener("click", (event) => {
      const filter = event.target.closest("[data-agents]");
      if (filter) {
        for (const button of document.querySelectorAll("[data-agents]")) button.setAttribute("aria-pressed", String(button === filter));
        const wanted = filter.dataset.agents;
        for (const card of cards) card.hidden = wanted !== "all" && (card.dataset.ready === "true") !== (wanted === "ready");
        return;
      }
      const card = event.target.closest("[data-agent]");
      if (!card || !this.input || event.metaKey || event.ctrlKey) return;
      event.preventDefault();
      if (card.dataset.ready !== "true") {
        const agent = this.shell.agentOf(card.dataset.agent);
        this.shell.say({ kind: "warn", title: `${agent.name} is not ready`, text: agent.unavailableReason ?? "It needs setting up.", action: agent.needsKey ? { label: "Add a key", run: () => location.assign("/settings/#keys") } : null });
        return;
      }
      this.input.agentId = card.dataset.agent;
      this.#choose(card.dataset.agent);
      this.input.scrollIntoView({ block: "nearest" });
      this.input.focus();
    });
  }
}
