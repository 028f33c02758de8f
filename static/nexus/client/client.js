/**
 * `NexusClient`: one conversation over one socket, usable without any of the elements. See README.md beside it.
 *
 * It owns the link, the state (by the pure reducer), the messages that are on their way (`delivery.js`) and the search
 * for what was lost on it (`replays.js`). It draws nothing.
 */
import { Delivery } from "./delivery.js";
import { Link } from "./link.js";
import { newClientId, Outbox } from "./outbox.js";
import { initialState, reduce } from "./reducer.js";
import { Replays } from "./replays.js";
import { NexusError, Requests } from "./requests.js";
import { isLive } from "./run.js";
import { liveRuns, thread } from "./thread.js";

/** How often it is looked whether something is missing, ms. */
const HEAL_MS = 2_000;
/** After a reload a message that may have arrived is not shown a second time before the server was asked, ms. */
const QUIET_MS = 2_000;

export { NexusError };

export class NexusClient extends EventTarget {
  #requests = new Requests((frame) => this.link.send(frame));
  #replays = new Replays({ send: (frame) => this.link.send(frame), reopen: () => this.#reopen(), gap: (gap) => this.#emit("gap", gap) });
  #delivery = new Delivery(this, { taken: (conversationId) => this.#taken(conversationId), sent: (sent) => this.#emit("sent", sent) });
  #healer = null;
  #presence = { activity: "viewing" };
  #subscribedTo = null;

  /**
   * @param {object} [options]
   * @param {string} [options.url] address of the socket; the page's own `/ws/` by default
   * @param {string} [options.workspace] slug, where it is not the session's current one
   * @param {string} [options.ticket] single-use ticket, for clients without a cookie
   * @param {string} [options.conversationId] opened as soon as the link is up
   * @param {object} [options.initial] what the page already knows, in the shape of a `subscribed` frame
   * @param {Storage|null} [options.storage] keeps unsent messages over a reload; null keeps them in memory
   * @param {Link} [options.link] for tests
   * @param {() => Promise<string>} [options.probe] see `Link`
   * @param {EventTarget} [options.events] where the browser tells what other tabs stored
   */
  constructor({ url, workspace, ticket, conversationId = null, initial = null, storage = null, link = null, probe = null, events = globalThis } = {}) {
    super();
    const protocols = ticket ? ["nexus.v1", `ticket.${ticket}`] : ["nexus.v1"];
    this.link = link ?? new Link({ url: address(url, workspace), protocols, probe });
    this.state = initialState();
    this.conversationId = conversationId;
    if (initial) {
      for (const key of ["user", "workspace", "agents", "activities"]) if (initial[key]) this.state[key] = initial[key];
      this.state = reduce(this.state, { ...initial, type: "subscribed" });
      this.conversationId = conversationId ?? initial.conversation?.id ?? null;
    }
    this.outbox = new Outbox(storage, `nexus.outbox.${this.state.user?.id ?? "me"}.${this.state.workspace?.slug ?? ""}`);
    this.#delivery.restore();
    this.link.addEventListener("open", (event) => this.#opened(event.detail.frame));
    this.link.addEventListener("frame", (event) => this.#received(event.detail.frame));
    this.link.addEventListener("lost", (event) => this.#requests.lost(event.detail.code));
    this.link.addEventListener("status", (event) => this.#emit("connection", event.detail));
    if (storage) events.addEventListener?.("storage", (event) => this.#delivery.droppedElsewhere(this.outbox.dropped(event)));
  }

  // --- what there is -------------------------------------------------------------------------------------

  /** Visible entries of the conversation, oldest first; see `thread.js` for their shape. */
  get messages() {
    return thread(this.state);
  }

  /** True while an answer is being written, waits or is queued here. */
  get isStreaming() {
    return liveRuns(this.state).length > 0 || this.state.pending.some((one) => one.status !== "failed");
  }

  /** The last refusal `{code, message}`, or null. `clearError()` forgets it. */
  get error() {
    return this.state.error;
  }

  clearError() {
    this.dispatch({ type: "local.error-cleared" });
  }

  /** The run that this person can stop now, newest first. */
  get liveRun() {
    return liveRuns(this.state).at(-1) ?? null;
  }

  // --- what can be done ----------------------------------------------------------------------------------

  connect() {
    this.#healer ??= setInterval(() => this.#heal(), HEAL_MS);
    setTimeout(() => this.#delivery.showQuiet(), QUIET_MS);
    this.link.open();
    return this;
  }

  close() {
    clearInterval(this.#healer);
    this.#healer = null;
    this.link.close();
  }

  /**
   * Opens a conversation: its state, then what its live runs still bring.
   * @param {string} conversationId
   */
  async subscribe(conversationId) {
    if (this.#subscribedTo && this.#subscribedTo !== conversationId) this.link.send({ type: "unsubscribe", conversationId: this.#subscribedTo });
    this.conversationId = conversationId;
    if (!this.link.isOpen) return;
    this.#subscribedTo = conversationId;
    const after = {};
    for (const run of Object.values(this.state.runs)) if (isLive(run)) after[run.id] = run.lastSeq;
    await this.request({ type: "subscribe", conversationId, after });
  }

  /**
   * Sends a message and starts a run. Kept until the server acknowledged it, and sent again after a reconnect.
   *
   * @param {string|object[]} input text, or parts (`{type: "text", text}`, `{type: "image", fileId}`)
   * @param {object} [options]
   * @param {string} options.agentId
   * @param {"reject"|"enqueue"|"interrupt"|"rollback"} [options.policy]
   * @param {string|null} [options.parentMessageId] where an edited message branches off; null: at the beginning
   * @param {string} [options.regenerateMessageId] the answer to write anew
   * @param {string} [options.replaces] the edited message, which is not shown while the new one is on its way
   * @param {string} [options.model]
   * @param {boolean} [options.temporary] a new conversation is in no list and removed after a day
   * @returns {Promise<{runId: string, conversationId: string, messageId: string}>} rejects with `NexusError` when refused
   */
  sendMessage(input, { agentId, policy, parentMessageId, regenerateMessageId, replaces, model, temporary, files = [] } = {}) {
    return this.#delivery.send({
      clientId: newClientId(),
      conversationId: this.conversationId,
      agentId,
      input,
      policy,
      parentMessageId,
      regenerateMessageId,
      replaces,
      model,
      temporary: temporary || undefined,
      files,
      text: textOf(input),
      at: Date.now(),
      status: "sending",
      error: null,
    });
  }

  /** Sends a message again that was not acknowledged; same `clientId`, so it cannot become two. */
  resend(clientId) {
    return this.#delivery.resend(clientId);
  }

  /** Forgets a message that was not acknowledged. */
  discard(clientId) {
    this.#delivery.discard(clientId);
  }

  /** Stops a run; its text so far is kept. Without an id: the live one. */
  async cancelStream(runId = this.liveRun?.id) {
    if (!runId) return null;
    return this.request({ type: "run.cancel", runId });
  }

  /**
   * Says something to a running agent, which hears it before its next step; if it ends before that, it is asked behind
   * its answer.
   * @param {string} runId
   * @param {string} text
   */
  steer(runId, text) {
    return this.request({ type: "run.steer", runId, input: text, clientId: newClientId() });
  }

  /**
   * Says yes or no to a call that waits, or answers a question; safe to send again.
   * @param {string} toolId
   * @param {{decision: "approve"|"deny"|"answer"|"ran"|"rerun", note?: string, answer?: string, remember?: "once"|"conversation"|"always"}} said
   */
  decide(toolId, { decision, note, answer, remember }) {
    return this.request({ type: "tool.decide", toolId, decision, note: note || undefined, answer, remember, clientId: newClientId() });
  }

  /** A new run that goes on where a stopped or failed one was cut. */
  resumeStream(runId) {
    return this.request({ type: "run.resume", runId });
  }

  /** A new run that goes on with an answer which its longest length cut off. */
  continueAnswer(messageId) {
    return this.request({ type: "run.continue", messageId, clientId: newClientId() });
  }

  /**
   * Calls `listener({runId, seq, chunk})` for each chunk as it is applied: in order, once each.
   * @returns {() => void} stops it
   */
  onChunk(listener) {
    const handler = (event) => listener(event.detail);
    this.addEventListener("chunk", handler);
    return () => this.removeEventListener("chunk", handler);
  }

  /** Shows one of several branches. */
  chooseBranch(fork, messageId) {
    this.dispatch({ type: "local.choose", fork, messageId });
  }

  /** This person has seen the messages up to that number; without one, all. Their other tabs hear it too. */
  markRead(number) {
    if (!this.conversationId) return Promise.resolve(null);
    return this.request({ type: "conversation.read", conversationId: this.conversationId, number });
  }

  /** Tells the others what this person does; repeated by `beat()` and after a reconnect. */
  setPresence(presence) {
    this.#presence = { ...presence };
    this.beat();
  }

  /** Says again what was said last; call it every 30 s. */
  beat() {
    this.link.send({ type: "presence.update", conversationId: this.conversationId ?? undefined, ...this.#presence });
  }

  broadcastActivity(activityType, metadata = {}) {
    return this.link.send({ type: "activity.broadcast", activityType, metadata });
  }

  suggestionClicked(suggestion) {
    return this.link.send({ type: "suggestion.clicked", suggestion });
  }

  /**
   * Asks the server and waits for its answer.
   * @param {object} frame without `id`
   * @returns {Promise<object>} the answering frame; rejects with `NexusError`
   */
  request(frame) {
    return this.#requests.ask(frame);
  }

  /** Changes the state by one frame and tells the listeners. */
  dispatch(frame) {
    const before = this.state;
    this.state = reduce(before, frame);
    if (this.state !== before) this.#emit("change", { frame, state: this.state, before });
  }

  // --- inside --------------------------------------------------------------------------------------------

  /**
   * The link is there: first what waits to be sent, so that nothing is shown twice when the conversation comes with
   * it, then the conversation.
   */
  async #opened(welcome) {
    if (this.#isSomebodyElse(welcome)) return;
    this.#subscribedTo = null;
    this.#replays.clear();
    this.beat();
    if (this.conversationId) this.#subscribedTo = this.conversationId;
    this.#delivery.flush();
    if (this.conversationId) await this.#reopen();
  }

  /** The link held, but not everything came over it: the conversation is read again, and lists by who shows them. */
  #missed() {
    this.#replays.rereading();
    if (this.conversationId && this.#subscribedTo === this.conversationId) this.#reopen();
    this.#emit("missed", {});
  }

  /** Opens the conversation again, however long the server needs; only its refusal is told. */
  async #reopen() {
    for (;;) {
      try {
        return await this.subscribe(this.conversationId);
      } catch (error) {
        if (error.code === "timeout" && this.link.isOpen) continue;
        if (error.code === "lost" || error.code === "offline" || error.code === "timeout") return;
        return this.dispatch({ type: "error", code: error.code, message: error.message });
      }
    }
  }

  #heal() {
    if (this.link.isOpen && this.#subscribedTo !== null && this.#subscribedTo === this.state.conversation?.id) this.#replays.look(this.state);
  }

  /** A message went into that conversation; where there was none, it began one, which is open from here on. */
  async #taken(conversationId) {
    if (!this.conversationId) this.conversationId = conversationId;
    if (this.#subscribedTo !== conversationId) await this.subscribe(conversationId);
  }

  #received(frame) {
    const waiting = this.#requests.take(frame);
    if (this.link.status === "closed") return;
    if (frame.type === "error") {
      if (this.#replays.refused(frame)) return;
      if (waiting) waiting.reject(new NexusError(frame.code, frame.message));
      else this.dispatch(frame);
      return;
    }
    if (frame.type === "resync") this.#missed();
    else if (frame.type === "chunk") this.#receivedChunk(frame);
    else this.dispatch(frame);
    if (waiting) waiting.resolve(frame);
    this.#emit("frame", { frame });
  }

  /** Somebody else logged in here meanwhile: this page and what waits in it are not theirs. */
  #isSomebodyElse({ user, workspace }) {
    const { state } = this;
    if ((!state.user?.id || state.user.id === user?.id) && (!state.workspace?.id || state.workspace.id === workspace?.id)) return false;
    this.close();
    this.#emit("somebody-else", { user });
    return true;
  }

  #receivedChunk(frame) {
    const before = this.state.runs[frame.runId]?.lastSeq ?? 0;
    this.dispatch(frame);
    const run = this.state.runs[frame.runId];
    if (!run) return;
    if (run.lastSeq > before) {
      this.#emit("chunk", { runId: frame.runId, seq: frame.seq, chunk: frame.chunk });
      if (!run.gapAt) this.#replays.asked.delete(run.id);
    }
    if (run.gapAt > run.lastSeq) this.#replays.ask(run);
  }

  #emit(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

function address(url, workspace) {
  const base = new URL(url ?? "/ws/", globalThis.location?.href ?? "ws://127.0.0.1/");
  base.protocol = base.protocol.replace("http", "ws");
  if (workspace) base.searchParams.set("workspace", workspace);
  return base.href;
}

function textOf(input) {
  if (typeof input === "string") return input;
  return input.filter((part) => part.type === "text").map((part) => part.text).join("\n\n");
}
