/** The page of one conversation: the client's state into the elements, the elements' events into the client. */
import { isLive } from "../client/run.js";
import { spent } from "../client/spent.js";
import { entryText, liveRuns } from "../client/thread.js";
import { h } from "../lib/dom.js";
import { followUps } from "../lib/followups.js";
import { schedule } from "../lib/schedule.js";
import { composer } from "./composer.js";
import { Conducting } from "./conducting.js";
import { ConversationMenu } from "./conversation-menu.js";
import { Earlier } from "./earlier.js";
import { LivePrice } from "./live-price.js";
import { MessageActions } from "./message-actions.js";
import { Rail } from "./rail.js";
import { Reading } from "./reading.js";
import { shareButton } from "./share-dialog.js";
import { Typing } from "./typing.js";
import { Waits } from "./waits.js";
import { WritingTogether } from "./writing-together.js";

/** A question this old that no run is about has no answer coming, ms. */
const UNANSWERED_MS = 3000;

export class ConversationPage {
  #spoken = new Map();

  constructor(shell) {
    this.shell = shell;
    this.client = shell.client;
    this.log = document.querySelector("nexus-conversation");
    this.input = document.querySelector("nexus-prompt-input");
    this.suggestions = document.querySelector("nexus-suggestions");
    this.announcer = h("div.sr", { role: "status", "aria-live": "polite" });
    document.body.append(this.announcer);
    this.waits = new Waits(this.log, this.announcer);
    this.conducting = new Conducting(shell);
    this.together = new WritingTogether(shell, this.input);
    this.typing = new Typing(shell, this.together);
    this.prices = new LivePrice(shell, () => schedule(this.draw));
    this.rail = new Rail(shell, this.log, { priceOf: (run) => this.prices.of(run), changed: () => schedule(this.draw) });
    this.actions = new MessageActions(this);
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
    setInterval(() => schedule(this.typing.draw), 2000);
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
      price: this.prices.of(entry.run),
      nameOf: (id) => this.shell.nameOf(id),
    }));
    const empty = document.querySelector(".empty.first");
    if (empty && entries.length) empty.remove();
    this.#drawComposer(state);
    this.rail.draw(state);
    this.typing.draw();
    this.waits.draw();
    this.conducting.draw();
    this.together.draw();
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
    const act = { export: () => this.menu.act("export"), retry: () => this.actions.regenerateLast(), rename: () => this.menu.act("rename") }[name];
    act?.();
    return Boolean(act);
  }

  #events() {
    this.suggestions.addEventListener("suggestion-click", (event) => {
      this.client.suggestionClicked(event.detail.suggestion);
      this.#send(event.detail.suggestion, [], this.input.agentId);
    });
    this.input.addEventListener("prompt-steer", (event) => this.#steer(event.detail.text));
    this.input.addEventListener("prompt-agent", (event) => this.menu.change({ agentId: event.detail.agentId }, "The agent was not changed"));
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

  #keys() {
    const { keys } = this.shell;
    const focused = () => document.activeElement?.closest("nexus-message")?.view?.entry ?? null;
    keys.on("j", () => this.log.step(1));
    keys.on("k", () => this.log.step(-1));
    keys.on("r", () => {
      const entry = focused();
      if (entry?.from === "assistant") this.actions.regenerate(entry, entry.run?.agentId ?? entry.message?.agentId);
      else this.actions.regenerateLast();
    });
    keys.on("y", () => {
      const entry = focused() ?? this.client.messages.findLast((one) => one.from === "assistant");
      if (entry) this.actions.copy(entry);
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
      { label: "Answer again", icon: "rotate-cw", hint: "R", run: () => this.actions.regenerateLast() },
    );
  }
}
