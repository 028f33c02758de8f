/** What can be done with a message: the buttons below it, its menus, and the keys for the one in focus. */
import { entryText } from "../client/thread.js";
import { agentItems, Menu } from "../elements/menu.js";
import { api } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";

export class MessageActions {
  #rated = Promise.resolve();

  /** @param {import("./conversation.js").ConversationPage} page */
  constructor(page) {
    this.page = page;
    this.shell = page.shell;
    this.client = page.client;
    this.input = page.input;
    page.log.addEventListener("message-action", (event) => this.#act({ entry: event.target.closest("nexus-message")?.view?.entry, ...event.detail }));
  }

  #act({ action, entry, value, fork, button, call, ...said }) {
    switch (action) {
      case "decide":
        return this.#decide(said);
      case "copy":
        return this.copy(entry);
      case "regenerate":
        return this.regenerate(entry, entry.run?.agentId ?? entry.message?.agentId ?? this.input.agentId);
      case "regenerate-with":
        return this.#regenerateWith(entry, button);
      case "edit":
        return this.page.ask(value, { agentId: this.#agentAfter(entry), parentMessageId: entry.message.parentId, replaces: entry.message.id });
      case "resume":
        return this.#once(button, () => this.client.resumeStream(entry.run.id), "Not continued");
      case "continue":
        return this.#once(button, () => this.client.continueAnswer(entry.message.id), "Not continued");
      case "retry-tool":
        return this.page.ask(`Try ${call.toolName} again.`, { agentId: entry.run?.agentId ?? entry.message?.agentId });
      case "rate":
        return this.#rate(entry.message, value);
      case "more":
        return this.#more(entry, button);
      case "resend":
        return this.client.resend(entry.pending.clientId).catch(() => {});
      case "discard":
        this.input.restore(entry.pending.text, entry.pending.files);
        return this.client.discard(entry.pending.clientId);
      case "budgets":
        return location.assign("/usage/#budgets");
      case "branch":
        return this.page.earlier.choose(fork, value);
      default:
        return null;
    }
  }

  /** Asks the server once, however often the button is pressed meanwhile. */
  async #once(button, ask, failure) {
    if (button?.disabled) return;
    if (button) button.disabled = true;
    try {
      await ask();
    } catch (error) {
      this.shell.fail(failure, error);
      if (button) button.disabled = false;
    }
  }

  async #decide({ toolId, failed, ...said }) {
    try {
      await this.client.decide(toolId, said);
    } catch (error) {
      failed?.();
      this.shell.fail("Not decided", error);
    }
  }

  /** Shown at once, and put back if the server refuses. One after the other: a comment must not arrive before its rating. */
  async #rate(message, feedback) {
    const show = (given) => this.client.dispatch({ type: "message.feedback", messageId: message.id, feedback: given });
    const before = message.feedback ?? null;
    const path = `/api/messages/${message.id}/feedback`;
    show(feedback);
    this.page.announcer.textContent = !feedback ? "Your rating is taken back." : feedback.comment ? "Your comment is kept." : `Rated as a ${feedback.rating} answer.`;
    const sent = this.#rated.then(() => (feedback ? api("PUT", path, feedback) : api("DELETE", path)));
    this.#rated = sent.catch(() => {});
    try {
      await sent;
    } catch (error) {
      show(before);
      this.shell.fail("Not rated", error);
    }
  }

  #more(entry, button) {
    const items = [{ id: "link", label: "Copy a link to this message", icon: "external-link" }];
    if (!this.shell.readonly) items.unshift({ id: "fork", label: "Fork into a new conversation", detail: "up to here", icon: "git-branch" });
    this.#choose(button, "More", items, (item) => (item.id === "fork" ? this.#fork(entry) : this.#copyLink(entry)));
  }

  async #fork(entry) {
    try {
      const fork = await api("POST", `/api/conversations/${this.client.conversationId}/fork`, { messageId: entry.message.id });
      location.assign(`/c/${fork.id}/`);
    } catch (error) {
      this.shell.fail("Not forked", error);
    }
  }

  async #copyLink(entry) {
    const done = await copyText(`${location.origin}/c/${this.client.conversationId}/#m-${entry.message.id}`);
    this.shell.say(done ? { kind: "ok", title: "Link copied", text: "It opens for everyone who may read this conversation." } : { kind: "bad", title: "Not copied", text: "The browser did not allow it." });
  }

  /** A menu above a button of a message. */
  #choose(button, label, items, choose) {
    const menu = new Menu({ host: button.closest(".acts"), owner: button, label, choose, closed: () => button.removeEventListener("keydown", keys) });
    const keys = (event) => menu.key(event);
    menu.element.style.setProperty("--at", `${button.offsetLeft}px`);
    button.addEventListener("keydown", keys);
    menu.show(items);
  }

  /** The words of an answer; of one that was continued, all its parts. */
  #words(entry) {
    const { messages } = this.client.state;
    const question = messages[entry.message?.parentId ?? entry.run?.promptId];
    const before = entry.from === "assistant" && question?.continues ? this.client.messages.find((one) => one.message?.id === question.continues) : null;
    return (before ? this.#words(before) : "") + entryText(entry);
  }

  async copy(entry) {
    const done = await copyText(this.#words(entry));
    this.shell.say(done ? { kind: "ok", title: "Copied" } : { kind: "bad", title: "Not copied", text: "The browser did not allow it." });
  }

  regenerate(entry, agentId) {
    const message = entry.message;
    if (!message) {
      // A run that failed before it wrote anything has no answer to name: its question is asked again.
      const prompt = this.client.state.messages[entry.run?.promptId];
      if (prompt) this.page.ask(prompt.content, { agentId, parentMessageId: prompt.parentId });
      return;
    }
    this.page.ask("", { agentId, regenerateMessageId: message.id });
  }

  #regenerateWith(entry, button) {
    const items = agentItems([...this.shell.agents.values()].filter((agent) => agent.isAvailable !== false), entry.run?.agentId);
    this.#choose(button, "Answer with", items, (item) => this.regenerate(entry, item.id));
  }

  regenerateLast() {
    const last = this.client.messages.findLast((entry) => entry.from === "assistant" && entry.message);
    if (last) this.regenerate(last, last.run?.agentId ?? last.message.agentId);
  }

  /** An edited message goes to the agent that answered it. */
  #agentAfter(entry) {
    const answer = Object.values(this.client.state.messages).findLast((message) => message.parentId === entry.message.id && message.role === "assistant");
    return answer?.agentId ?? this.input.agentId;
  }
}
