/**
 * `NexusClient`: one conversation over one socket, usable without any of the elements. See README.md beside it.
 *
 * It owns the link, the state (by the pure reducer) and the messages that are on their way. It draws nothing.
 */
import { Link } from "./link.js";
import { AUTO_SEND_MS, newClientId, Outbox } from "./outbox.js";
import { initialState, reduce } from "./reducer.js";
import { isLive } from "./run.js";
import { liveRuns, thread } from "./thread.js";

/** How long a question to the server may stay without an answer, ms. */
const ANSWER_MS = 20_000;
/** A replay that brought nothing is asked for again, ms. */
const REPLAY_MS = 4_000;

/** A refusal by the server, with its code for a program and its message for a person. */
export class NexusError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "NexusError";
    this.code = code;
  }
}

export class NexusClient extends EventTarget {
  #waiting = new Map();
  #nextId = 1;
  #replays = new Map();
  #presence = { activity: "viewing" };
  #subscribedTo = null;
  /** Promises of messages that wait for the link, by clientId. */
  #later = new Map();

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
   */
  constructor({ url, workspace, ticket, conversationId = null, initial = null, storage = null, link = null, probe = null } = {}) {
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
    this.#restorePending();
    this.link.addEventListener("open", () => this.#opened());
    this.link.addEventListener("frame", (event) => this.#received(event.detail.frame));
    this.link.addEventListener("lost", (event) => this.#lost(event.detail.code));
    this.link.addEventListener("status", (event) => this.#emit("connection", event.detail));
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
    this.link.open();
    return this;
  }

  close() {
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
   * @returns {Promise<{runId: string, conversationId: string, messageId: string}>} rejects with `NexusError` when refused
   */
  sendMessage(input, { agentId, policy, parentMessageId, regenerateMessageId, replaces, model, files = [] } = {}) {
    const message = {
      clientId: newClientId(),
      conversationId: this.conversationId,
      agentId,
      input,
      policy,
      parentMessageId,
      regenerateMessageId,
      replaces,
      model,
      files,
      text: textOf(input),
      at: Date.now(),
      status: "sending",
      error: null,
    };
    this.outbox.put(message);
    this.dispatch({ type: "local.pending", message });
    return this.#transmit(message);
  }

  /** Sends a message again that was not acknowledged; same `clientId`, so it cannot become two. */
  resend(clientId) {
    const message = this.outbox.messages.find((one) => one.clientId === clientId);
    if (!message) return Promise.reject(new NexusError("not_found", "This message is not here any more."));
    const again = { ...message, status: "sending", error: null, at: Date.now() };
    this.outbox.put(again);
    this.dispatch({ type: "local.pending", message: again });
    return this.#transmit(again);
  }

  /** Forgets a message that was not acknowledged. */
  discard(clientId) {
    this.outbox.drop(clientId);
    this.dispatch({ type: "local.pending-dropped", clientId });
  }

  /** Stops a run; its text so far is kept. Without an id: the live one. */
  async cancelStream(runId = this.liveRun?.id) {
    if (!runId) return null;
    return this.request({ type: "run.cancel", runId });
  }

  /** A new run that goes on where a stopped or failed one was cut. */
  resumeStream(runId) {
    return this.request({ type: "run.resume", runId });
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
    const id = `c${this.#nextId++}`;
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id);
        reject(new NexusError("timeout", "The server did not answer. Try again."));
      }, ANSWER_MS);
      this.#waiting.set(id, { resolve, reject, timer });
      if (this.link.send({ ...frame, id })) return;
      clearTimeout(timer);
      this.#waiting.delete(id);
      reject(new NexusError("offline", "You are offline. Try again when the connection is back."));
    });
  }

  /** Changes the state by one frame and tells the listeners. */
  dispatch(frame) {
    const before = this.state;
    this.state = reduce(before, frame);
    if (this.state !== before) this.#emit("change", { frame, state: this.state, before });
  }

  // --- inside --------------------------------------------------------------------------------------------

  async #transmit(message) {
    const { clientId, agentId, input, policy, conversationId, parentMessageId, regenerateMessageId, model } = message;
    try {
      const frame = { type: "run.start", clientId, agentId, input, policy, parentMessageId, regenerateMessageId, model };
      if (conversationId) frame.conversationId = conversationId;
      const answer = await this.request(prune(frame));
      this.outbox.drop(clientId);
      this.dispatch({ ...answer, clientId, agentId });
      if (!this.conversationId) this.conversationId = answer.conversationId;
      if (this.#subscribedTo !== answer.conversationId) await this.subscribe(answer.conversationId);
      return answer;
    } catch (error) {
      if (error.code === "offline" || error.code === "timeout" || error.code === "lost") {
        // Not a refusal: the message stays in the outbox and goes again when the link is back.
        if (this.link.isOpen) return this.resend(clientId);
        return new Promise((resolve, reject) => this.#later.set(clientId, { resolve, reject }));
      }
      this.outbox.drop(clientId);
      this.outbox.put({ ...message, status: "failed", error: { code: error.code, message: error.message } });
      this.dispatch({ type: "local.pending-failed", clientId, error: { code: error.code, message: error.message } });
      throw error;
    }
  }

  #restorePending() {
    for (const message of this.outbox.of(this.conversationId)) {
      const stale = Date.now() - message.at > AUTO_SEND_MS;
      const error = message.error ?? (stale ? { code: "not_sent", message: "This message was not sent. It is kept here." } : null);
      this.state = reduce(this.state, { type: "local.pending", message: { ...message, status: error ? "failed" : "sending", error } });
    }
  }

  async #opened() {
    this.#subscribedTo = null;
    this.#replays.clear();
    this.beat();
    if (this.conversationId) {
      try {
        await this.subscribe(this.conversationId);
      } catch (error) {
        if (error.code !== "lost") this.dispatch({ type: "error", code: error.code, message: error.message });
        return;
      }
    }
    for (const message of this.state.pending.filter((one) => one.status === "sending")) {
      const later = this.#later.get(message.clientId);
      this.#later.delete(message.clientId);
      this.#transmit(message).then(later?.resolve, later?.reject ?? (() => {}));
    }
  }

  #lost(code) {
    for (const { reject, timer } of this.#waiting.values()) {
      clearTimeout(timer);
      // 4009 answers the frame that was too large: to send it again would close the socket again.
      reject(code === 4009 ? new NexusError("frame_too_large", "This message is too long to send.") : new NexusError("lost", "The connection was lost."));
    }
    this.#waiting.clear();
  }

  #received(frame) {
    const waiting = frame.id !== undefined ? this.#waiting.get(frame.id) : undefined;
    if (waiting) {
      this.#waiting.delete(frame.id);
      clearTimeout(waiting.timer);
    }
    if (frame.type === "error") {
      if (waiting) waiting.reject(new NexusError(frame.code, frame.message));
      else this.dispatch(frame);
      return;
    }
    if (frame.type === "chunk") this.#receivedChunk(frame);
    else this.dispatch(frame);
    if (waiting) waiting.resolve(frame);
    this.#emit("frame", { frame });
  }

  #receivedChunk(frame) {
    const before = this.state.runs[frame.runId]?.lastSeq ?? 0;
    this.dispatch(frame);
    const run = this.state.runs[frame.runId];
    if (!run) return;
    if (run.lastSeq > before) {
      this.#emit("chunk", { runId: frame.runId, seq: frame.seq, chunk: frame.chunk });
      if (!run.gapAt) this.#replays.delete(run.id);
    }
    if (run.gapAt > run.lastSeq) this.#askReplay(run);
  }

  /** At a gap: what is missing is asked for once, and again only if nothing came for a while. */
  #askReplay(run) {
    const asked = this.#replays.get(run.id);
    if (asked && Date.now() - asked.at < REPLAY_MS) return;
    this.#replays.set(run.id, { at: Date.now() });
    this.link.send({ type: "replay", runId: run.id, after: run.lastSeq });
    this.#emit("gap", { runId: run.id, missing: run.gapAt - run.lastSeq - 1 });
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

function prune(frame) {
  return Object.fromEntries(Object.entries(frame).filter(([, value]) => value !== undefined));
}
