/** The page of one conversation: the client's state into the elements, the elements' events into the client. */
import { applyChunk, isLive, newRun } from "../client/run.js";
import { spent } from "../client/spent.js";
import { currentRun, entryText, liveRuns } from "../client/thread.js";
import { agentItems, Menu } from "../elements/menu.js";
import { api } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";
import { avatar, h } from "../lib/dom.js";
import { followUps } from "../lib/followups.js";
import { schedule } from "../lib/schedule.js";
import { composer } from "./composer.js";
import { Earlier } from "./earlier.js";
import { Conducting } from "./conducting.js";
import { ConversationMenu } from "./conversation-menu.js";
import { Reading } from "./reading.js";
import { shareButton } from "./share-dialog.js";
import { Waits } from "./waits.js";

/** Somebody who typed this long ago is not typing any more, ms. */
const TYPING_MS = 6000;
/** A question this old that no run is about has no answer coming, ms. */
const UNANSWERED_MS = 3000;

export class ConversationPage {
  #runInView = null;
  #spoken = new Map();
  #older = new Map();

  constructor(shell) {
    this.shell = shell;
    this.client = shell.client;
    this.log = document.querySelector("nexus-conversation");
    this.input = document.querySelector("nexus-prompt-input");
    this.waterfall = document.querySelector("nexus-run-waterfall");
    this.suggestions = document.querySelector("nexus-suggestions");
    this.announcer = h("div.sr", { role: "status", "aria-live": "polite" });
    document.body.append(this.announcer);
    this.waits = new Waits(this.log, this.announcer);
    this.conducting = new Conducting(shell);
    this.menu = new ConversationMenu(shell, this);
    shareButton(shell);
    composer(shell, this.input, {
      draft: this.client.conversationId,
      send: (text, files, agentId) => this.#send(text, files, agentId),
      stop: () => this.stop(),
      command: (name) => this.#command(name),
    });
    this.#events();
    this.#keys();
  }

  start() {
    this.client.addEventListener("change", (event) => {
      if (event.detail.frame.type === "chunk") this.#speak(event.detail);
      schedule(this.draw);
    });
    this.client.addEventListener("connection", () => schedule(this.draw));
    this.reading = new Reading(this.shell, this.log);
    this.earlier = new Earlier(this.shell, this.log, this.draw);
    this.draw();
    const wanted = /^#m-(.+)$/.exec(location.hash)?.[1];
    if (wanted) requestAnimationFrame(() => this.earlier.reveal(wanted));
    setInterval(() => schedule(this.#drawTyping), 2000);
  }

  // --- drawing -------------------------------------------------------------------------------------------

  draw = () => {
    const { state } = this.client;
    const entries = this.client.messages;
    const lastAnswer = entries.findLast((entry) => entry.from === "assistant");
    const continued = new Set(entries.map((entry) => entry.message?.continues).filter(Boolean));
    const waits = this.#unanswered(entries);
    this.log.earlier = this.earlier?.view ?? null;
    this.log.draw(entries, (entry) => ({
      entry,
      agent: this.shell.agentOf(entry.run?.agentId ?? entry.message?.agentId),
      me: this.shell.user,
      role: state.role ?? this.shell.user.role,
      approvals: state.approvals,
      last: entry === lastAnswer,
      continued: continued.has(entry.message?.id),
      continues: entry.from === "assistant" && Boolean(state.messages[entry.message?.parentId ?? entry.run?.promptId]?.continues),
      unanswered: entry === waits,
      answerer: this.shell.agentOf(this.input.agentId)?.name,
      canAct: !this.shell.readonly,
      online: this.client.link.isOpen,
      nameOf: (id) => this.shell.nameOf(id),
    }));
    const empty = document.querySelector(".empty.first");
    if (empty && entries.length) empty.remove();
    this.#drawComposer(state);
    this.#drawRail(state);
    this.#drawTyping();
    this.waits.draw();
    this.conducting.draw();
    this.#drawSuggestions(entries);
    this.menu.draw(state.conversation);
  };

  /** A question that nobody answered and nobody is answering: the end of a fork, say. */
  #unanswered(entries) {
    const last = entries.at(-1);
    const { runs } = this.client.state;
    if (!last?.message || last.from !== "user" || last.message.continues) return null;
    const asked = Object.values(runs).some((run) => run.promptId === last.message.id && (isLive(run) || run.status === "queued"));
    return asked || Date.now() - last.at < UNANSWERED_MS ? null : last;
  }

  #drawComposer(state) {
    const live = liveRuns(state);
    const mine = live.some((run) => run.agentId === this.input.agentId);
    const me = this.shell.user.id;
    this.input.steerable = live.some((run) => run.agentId === this.input.agentId && run.status !== "queued" && (!run.controlledBy || run.controlledBy === me));
    this.input.status = live.length ? "streaming" : state.pending.some((one) => one.status === "failed") ? "error" : "ready";
    const hint = document.querySelector("[data-hint]");
    if (hint) {
      const text = mine ? "Enter queues your message behind this answer, Ctrl + Enter tells the agent now. Esc stops it." : live.length ? "Esc stops the answer." : "Enter sends, Shift + Enter starts a new line.";
      if (hint.textContent !== text) hint.textContent = text;
    }
    const { tokens, cost, free } = spent(state);
    if (tokens) this.input.usage = { tokenUsage: { total: tokens }, cost: { total: cost }, provider: free ? "local" : null, context: this.#context() };
  }

  /** How full the window of the model that would answer next is: what the last answer took in and gave out. */
  #context() {
    const last = this.client.messages.findLast((entry) => entry.run?.contextTokens)?.run;
    if (!last) return null;
    const window = last.agentId === this.input.agentId ? last.contextWindow : this.shell.agentOf(this.input.agentId)?.contextWindow;
    return window ? { used: last.contextTokens, window } : null;
  }

  #drawRail(state) {
    if (!this.waterfall) return;
    const run = currentRun(state, this.#runInView);
    const shown = run && !isLive(run) && !run.items.length ? (this.#older.get(run.id) ?? run) : run;
    this.waterfall.view = run ? { run: shown, agent: this.shell.agentOf(run.agentId) } : null;
    if (shown && !isLive(shown) && !shown.items.length && !this.#older.has(run.id)) this.#loadSteps(run);
  }

  /** The steps of an answer that was finished before this page was opened, from its log. */
  async #loadSteps(run) {
    this.#older.set(run.id, run);
    let told = newRun(run.id, { ...run, status: "queued", lastSeq: 0 });
    try {
      for (let more = true; more; ) {
        const { items } = await api("GET", `/api/runs/${run.id}/chunks?after=${told.lastSeq}`);
        for (const { seq, chunk } of items) told = applyChunk(told, seq, chunk);
        more = items.length > 0 && isLive(told);
      }
      this.#older.set(run.id, { ...told, status: run.status, loaded: true });
      schedule(this.draw);
    } catch {
      this.#older.delete(run.id); // it is tried again when the answer comes into view again
    }
  }

  #drawTyping = () => {
    const holder = document.querySelector("[data-typing]");
    if (!holder) return;
    const { state } = this.client;
    const now = Date.now();
    const names = new Map();
    for (const user of state.presence) if (user.kind === "person" && user.activity === "typing" && user.conversationId === state.conversation?.id) names.set(user.userId, user.name);
    for (const [userId, cursor] of Object.entries(state.cursors)) if (cursor.typing && now - (cursor.at || now) < TYPING_MS) names.set(userId, this.shell.nameOf(userId) || "Somebody");
    names.delete(this.shell.user.id);
    const key = [...names.values()].join(", ");
    if (holder.dataset.key === key) return;
    holder.dataset.key = key;
    const people = [...names];
    holder.replaceChildren(...(people.length ? [...people.slice(0, 3).map(([id, name]) => avatar({ id, name }, "xs")), h("span", {}, typingWords([...names.values()]))] : []));
  };

  #drawSuggestions(entries) {
    const last = entries.at(-1);
    const idle = last && last.from === "assistant" && !(last.run && isLive(last.run)) && !this.shell.readonly;
    const asked = new Set(entries.filter((entry) => entry.from === "user").map((entry) => entryText(entry).trim()));
    this.suggestions.items = idle ? followUps(last, this.shell.agentOf(last.run?.agentId ?? last.message?.agentId), asked) : [];
  }

  /** The beginning and the end are announced, never the pieces between. */
  #speak({ frame }) {
    const run = this.client.state.runs[frame.runId];
    if (!run || this.#spoken.get(run.id) === run.status) return;
    const before = this.#spoken.get(run.id);
    this.#spoken.set(run.id, run.status);
    const name = this.shell.agentOf(run.agentId)?.name ?? "The agent";
    if (isLive(run)) {
      if (!before) this.announcer.textContent = `${name} is answering.`;
      return;
    }
    const words = entryText({ run }).replace(/[#*`_>|]/g, "").slice(0, 280);
    this.announcer.textContent = run.status === "complete" ? `${name} answered: ${words}` : run.status === "cancelled" ? `The answer of ${name} was stopped.` : `${name} could not finish. ${run.error?.message ?? ""}`;
  }

  // --- acting --------------------------------------------------------------------------------------------

  #send(text, files, agentId) {
    const busy = liveRuns(this.client.state).some((run) => run.agentId === agentId);
    this.ask(text, { agentId, files, policy: busy ? "enqueue" : undefined, ...this.#place() });
  }

  /** Who reads an older version writes on there; else the server puts a message at the end. */
  #place() {
    const entries = this.client.messages;
    const older = entries.some((entry) => entry.branches && entry.branches.index < entry.branches.count - 1);
    const last = entries.findLast((entry) => entry.message)?.message;
    return older && last ? { parentMessageId: last.id } : {};
  }

  async ask(text, { agentId, files = [], ...rest }) {
    const input = files.length ? [...(text ? [{ type: "text", text }] : []), ...files.map((file) => ({ type: "image", fileId: file.fileId }))] : text;
    try {
      return await this.client.sendMessage(input, { agentId, files, ...rest });
    } catch (error) {
      if (!rest.regenerateMessageId) return null; // it stands in the conversation with its reason
      this.client.discard(this.client.state.pending.find((one) => one.regenerateMessageId === rest.regenerateMessageId)?.clientId);
      this.shell.fail("Not answered again", error);
      return null;
    }
  }

  async stop(run = this.client.liveRun) {
    if (!run) return;
    try {
      await this.client.cancelStream(run.id);
    } catch (error) {
      this.shell.fail("Not stopped", error);
    }
  }

  #command(name) {
    const act = { export: () => this.menu.act("export"), retry: () => this.#regenerateLast(), rename: () => this.menu.act("rename") }[name];
    act?.();
    return Boolean(act);
  }

  #events() {
    this.log.addEventListener("message-action", (event) => this.#act({ entry: event.target.closest("nexus-message")?.view?.entry, ...event.detail }));
    this.log.addEventListener("message-in-view", (event) => {
      this.#runInView = event.detail.runId;
      schedule(this.draw);
    });
    document.addEventListener("run-row", (event) => this.#toRow(event.detail));
    this.suggestions.addEventListener("suggestion-click", (event) => {
      this.client.suggestionClicked(event.detail.suggestion);
      this.#send(event.detail.suggestion, [], this.input.agentId);
    });
    this.input.addEventListener("prompt-steer", (event) => this.#steer(event.detail.text));
    this.input.addEventListener("prompt-agent", (event) => this.menu.change({ agentId: event.detail.agentId }, "The agent was not changed"));
  }

  #act({ action, entry, value, fork, button, call, ...said }) {
    switch (action) {
      case "decide":
        return this.#decide(said);
      case "copy":
        return this.#copy(entry);
      case "regenerate":
        return this.#regenerate(entry, entry.run?.agentId ?? entry.message?.agentId ?? this.input.agentId);
      case "regenerate-with":
        return this.#regenerateWith(entry, button);
      case "edit":
        return this.ask(value, { agentId: this.#agentAfter(entry), parentMessageId: entry.message.parentId, replaces: entry.message.id });
      case "resume":
        return this.#once(button, () => this.client.resumeStream(entry.run.id), "Not continued");
      case "continue":
        return this.#once(button, () => this.client.continueAnswer(entry.message.id), "Not continued");
      case "retry-tool":
        return this.ask(`Try ${call.toolName} again.`, { agentId: entry.run?.agentId ?? entry.message?.agentId });
      case "rate":
        return this.#rate(entry.message, value);
      case "more":
        return this.#more(entry, button);
      case "resend":
        return this.client.resend(entry.pending.clientId).catch(() => {});
      case "discard":
        this.input.restore(entry.pending.text, entry.pending.files);
        return this.client.discard(entry.pending.clientId);
      case "branch":
        return this.earlier.choose(fork, value);
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

  /** Words for the agent at work. If its answer has ended meanwhile, they go as the next message. */
  async #steer(text) {
    const run = liveRuns(this.client.state).find((one) => one.agentId === this.input.agentId);
    if (!run) return this.#send(text, [], this.input.agentId);
    try {
      await this.client.steer(run.id, text);
    } catch (error) {
      if (error.code === "run_ended") return this.#send(text, [], this.input.agentId);
      this.input.restore(text, []);
      this.shell.fail("Not told", error);
    }
    return null;
  }

  async #decide({ toolId, failed, ...said }) {
    try {
      await this.client.decide(toolId, said);
    } catch (error) {
      failed?.();
      this.shell.fail("Not decided", error);
    }
  }

  /** Shown at once, and put back if the server refuses. */
  async #rate(message, feedback) {
    const show = (given) => this.client.dispatch({ type: "message.feedback", messageId: message.id, feedback: given });
    const before = message.feedback ?? null;
    const path = `/api/messages/${message.id}/feedback`;
    show(feedback);
    this.announcer.textContent = !feedback ? "Your rating is taken back." : feedback.comment ? "Your comment is kept." : `Rated as a ${feedback.rating} answer.`;
    try {
      if (feedback) await api("PUT", path, feedback);
      else await api("DELETE", path);
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

  async #copy(entry) {
    const done = await copyText(this.#words(entry));
    this.shell.say(done ? { kind: "ok", title: "Copied" } : { kind: "bad", title: "Not copied", text: "The browser did not allow it." });
  }

  #regenerate(entry, agentId) {
    const message = entry.message;
    if (!message) {
      // A run that failed before it wrote anything has no answer to name: its question is asked again.
      const prompt = this.client.state.messages[entry.run?.promptId];
      if (prompt) this.ask(prompt.content, { agentId, parentMessageId: prompt.parentId });
      return;
    }
    this.ask("", { agentId, regenerateMessageId: message.id });
  }

  #regenerateWith(entry, button) {
    const items = agentItems([...this.shell.agents.values()].filter((agent) => agent.isAvailable !== false), entry.run?.agentId);
    this.#choose(button, "Answer with", items, (item) => this.#regenerate(entry, item.id));
  }

  #regenerateLast() {
    const last = this.client.messages.findLast((entry) => entry.from === "assistant" && entry.message);
    if (last) this.#regenerate(last, last.run?.agentId ?? last.message.agentId);
  }

  /** An edited message goes to the agent that answered it. */
  #agentAfter(entry) {
    const answer = Object.values(this.client.state.messages).findLast((message) => message.parentId === entry.message.id && message.role === "assistant");
    return answer?.agentId ?? this.input.agentId;
  }

  #toRow({ runId, toolId }) {
    const element = [...this.log.querySelectorAll("nexus-message")].find((one) => one.view?.entry.run?.id === runId);
    const row = toolId ? [...(element?.querySelectorAll("nexus-tool-call") ?? [])].find((one) => one.item?.toolId === toolId) : element;
    (row ?? element)?.scrollIntoView({ block: "center" });
    row?.querySelector("summary")?.focus();
  }

  #keys() {
    const { keys } = this.shell;
    const focused = () => document.activeElement?.closest("nexus-message")?.view?.entry ?? null;
    keys.on("j", () => this.log.step(1));
    keys.on("k", () => this.log.step(-1));
    keys.on("r", () => {
      const entry = focused();
      if (entry?.from === "assistant") this.#regenerate(entry, entry.run?.agentId ?? entry.message?.agentId);
      else this.#regenerateLast();
    });
    keys.on("y", () => {
      const entry = focused() ?? this.client.messages.findLast((one) => one.from === "assistant");
      if (entry) this.#copy(entry);
    });
    keys.on("e", () => {
      const mine = [...this.log.querySelectorAll('nexus-message[from="user"]')];
      const element = document.activeElement?.closest('nexus-message[from="user"]') ?? mine.at(-1);
      element?.edit?.();
    });
    keys.on("escape", () => this.client.liveRun && this.stop());
    this.shell.commands.push(
      { label: "Rename this conversation", icon: "pencil", run: () => this.menu.act("rename") },
      { label: "Pin or unpin this conversation", icon: "pin", run: () => this.menu.act("pin") },
      { label: "Archive this conversation", icon: "archive", run: () => this.menu.act("archive") },
      { label: "Export as Markdown", icon: "download", run: () => this.menu.act("export") },
      { label: "Answer again", icon: "rotate-cw", hint: "R", run: () => this.#regenerateLast() },
    );
  }
}

function typingWords(names) {
  if (names.length === 1) return `${names[0]} is typing`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`;
  return `${names.length} people are typing`;
}

