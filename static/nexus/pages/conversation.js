/** The page of one conversation: the client's state into the elements, the elements' events into the client. */
import { applyChunk, isLive, newRun } from "../client/run.js";
import { currentRun, entryText, liveRuns } from "../client/thread.js";
import { agentItems, Menu } from "../elements/menu.js";
import { api } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";
import { avatar, h } from "../lib/dom.js";
import { followUps } from "../lib/followups.js";
import { schedule } from "../lib/schedule.js";
import { composer } from "./composer.js";
import { ConversationMenu } from "./conversation-menu.js";
import { Reading } from "./reading.js";

/** Somebody who typed this long ago is not typing any more, ms. */
const TYPING_MS = 6000;

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
    this.menu = new ConversationMenu(shell, this);
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
    this.draw();
    const wanted = /^#m-(.+)$/.exec(location.hash)?.[1];
    if (wanted) requestAnimationFrame(() => this.log.reveal(wanted));
    setInterval(() => schedule(this.#drawTyping), 2000);
  }

  // --- drawing -------------------------------------------------------------------------------------------

  draw = () => {
    const { state } = this.client;
    const entries = this.client.messages;
    const lastAnswer = entries.findLast((entry) => entry.from === "assistant");
    this.log.draw(entries, (entry) => ({
      entry,
      agent: this.shell.agentOf(entry.run?.agentId ?? entry.message?.agentId),
      me: this.shell.user,
      last: entry === lastAnswer,
      canAct: !this.shell.readonly,
      online: this.client.link.isOpen,
      nameOf: (id) => this.shell.nameOf(id),
    }));
    const empty = document.querySelector(".empty.first");
    if (empty && entries.length) empty.remove();
    this.#drawComposer(state);
    this.#drawRail(state);
    this.#drawTyping();
    this.#drawSuggestions(entries);
    this.menu.draw(state.conversation);
  };

  #drawComposer(state) {
    const live = liveRuns(state);
    const mine = live.some((run) => run.agentId === this.input.agentId);
    this.input.status = live.length ? "streaming" : state.pending.some((one) => one.status === "failed") ? "error" : "ready";
    const hint = document.querySelector("[data-hint]");
    if (hint) {
      const text = mine ? "Enter queues your message behind this answer. Esc stops it." : live.length ? "Esc stops the answer." : "Enter sends, Shift + Enter starts a new line.";
      if (hint.textContent !== text) hint.textContent = text;
    }
    const runs = Object.values(state.runs).filter((run) => run.tokenUsage?.total && !run.superseded);
    if (!runs.length) return;
    const total = runs.reduce((sum, run) => sum + run.tokenUsage.total, 0);
    const priced = runs.filter((run) => run.cost?.total !== null && run.cost?.total !== undefined);
    const free = runs.every((run) => ["local", "scripted", "ollama"].includes(run.provider));
    const cost = priced.length ? String(priced.reduce((sum, run) => sum + Number(run.cost.total), 0)) : null;
    const agent = this.shell.agentOf(this.input.agentId);
    const last = runs.at(-1).tokenUsage;
    const context = agent?.contextWindow ? ((last.input + last.cacheRead + last.cacheWrite + last.output) / agent.contextWindow) * 100 : null;
    this.input.usage = { tokenUsage: { total }, cost: { total: cost }, provider: free ? "local" : null, context };
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
      this.#older.set(run.id, { ...told, status: run.status });
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
    this.log.addEventListener("message-action", (event) => this.#act(event.detail));
    this.log.addEventListener("message-in-view", (event) => {
      this.#runInView = event.detail.runId;
      schedule(this.draw);
    });
    document.addEventListener("run-row", (event) => this.#toRow(event.detail));
    this.suggestions.addEventListener("suggestion-click", (event) => {
      this.client.suggestionClicked(event.detail.suggestion);
      this.#send(event.detail.suggestion, [], this.input.agentId);
    });
    this.input.addEventListener("prompt-agent", (event) => this.menu.change({ agentId: event.detail.agentId }, "The agent was not changed"));
  }

  #act({ action, entry, value, fork, button }) {
    switch (action) {
      case "copy":
        return this.#copy(entry);
      case "regenerate":
        return this.#regenerate(entry, entry.run?.agentId ?? entry.message?.agentId);
      case "regenerate-with":
        return this.#regenerateWith(entry, button);
      case "edit":
        return this.ask(value, { agentId: this.#agentAfter(entry), parentMessageId: entry.message.parentId, replaces: entry.message.id });
      case "continue":
        return this.client.resumeStream(entry.run.id).catch((error) => this.shell.fail("Not continued", error));
      case "resend":
        return this.client.resend(entry.pending.clientId).catch(() => {});
      case "discard":
        this.input.restore(entry.pending.text, entry.pending.files);
        return this.client.discard(entry.pending.clientId);
      case "branch":
        return this.client.chooseBranch(fork, value);
      default:
        return null;
    }
  }

  async #copy(entry) {
    const done = await copyText(entryText(entry));
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
    const host = button.closest(".acts");
    const menu = new Menu({ host, owner: button, label: "Answer with", choose: (item) => this.#regenerate(entry, item.id), closed: () => button.removeEventListener("keydown", keys) });
    const keys = (event) => menu.key(event);
    button.addEventListener("keydown", keys);
    menu.show(agentItems([...this.shell.agents.values()].filter((agent) => agent.isAvailable !== false), entry.run?.agentId));
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

