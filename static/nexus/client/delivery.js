/**
 * Messages on their way: each is kept in the outbox until the server took or refused it, and sent again after every
 * reconnect. Its `clientId` makes one run of however many sendings.
 */
import { AUTO_SEND_MS } from "./outbox.js";
import { NexusError } from "./requests.js";

export class Delivery {
  /** clientIds on their way. */
  #flying = new Set();
  /** Promises of messages that wait for the link, by clientId. */
  #later = new Map();

  /**
   * @param {import("./client.js").NexusClient} client whose state shows them
   * @param {object} options
   * @param {(conversationId: string) => Promise<void>} options.taken a message of the open conversation was taken; of a new one, this is it
   * @param {(sent: {message: object, answer: object, here: boolean}) => void} options.sent hears of what went out without anybody waiting for it
   */
  constructor(client, { taken, sent }) {
    Object.assign(this, { client, taken, sent });
  }

  /** @returns {Promise<object>} the server's answer; rejects with `NexusError` when it refused */
  send(message) {
    this.client.outbox.put(message);
    this.client.dispatch({ type: "local.pending", message });
    return this.#transmit(message);
  }

  resend(clientId) {
    const message = this.client.outbox.messages.find((one) => one.clientId === clientId);
    if (!message) return Promise.reject(new NexusError("not_found", "This message is not here any more."));
    return this.send({ ...message, status: "sending", error: null, at: Date.now() });
  }

  discard(clientId) {
    this.client.outbox.drop(clientId);
    this.client.dispatch({ type: "local.pending-dropped", clientId });
  }

  /** What an earlier page left of this conversation. It is shown only when the server was asked, or could not be. */
  restore() {
    for (const message of this.client.outbox.of(this.client.conversationId)) {
      const stale = Date.now() - message.at > AUTO_SEND_MS;
      const error = message.error ?? (stale ? { code: "not_sent", message: "This message was not sent. It is kept here." } : null);
      this.client.dispatch({ type: "local.pending", message: { ...message, quiet: !error, status: error ? "failed" : "sending", error } });
    }
  }

  /** What was held back after a reload is shown when the server could not be asked in time. */
  showQuiet() {
    for (const message of this.client.state.pending) if (message.quiet) this.client.dispatch({ type: "local.pending", message: { ...message, quiet: false } });
  }

  /** Another tab of this person sent the message, or removed it. */
  droppedElsewhere(clientId) {
    const known = clientId && this.client.state.pending.find((one) => one.clientId === clientId);
    if (!known || known.status === "accepted" || this.#flying.has(clientId)) return;
    this.client.dispatch({ type: "local.pending-dropped", clientId });
    this.#later.delete(clientId);
  }

  /** Sends what waits: this conversation's, and what other tabs and pages of this person left in the outbox. */
  flush() {
    for (const message of this.client.state.pending) {
      if (message.status !== "sending" || this.#flying.has(message.clientId)) continue;
      const later = this.#later.get(message.clientId);
      this.#later.delete(message.clientId);
      const told = later?.resolve ?? ((answer) => this.sent({ message, answer, here: true }));
      this.#transmit(message).then(told, later?.reject ?? (() => {}));
    }
    for (const message of this.client.outbox.messages) {
      if (message.status !== "sending" || this.#isHere(message) || this.#flying.has(message.clientId)) continue;
      if (Date.now() - message.at > AUTO_SEND_MS) continue;
      this.#transmit(message).then(
        (answer) => this.sent({ message, answer, here: false }),
        () => {},
      );
    }
  }

  async #transmit(message) {
    const { client } = this;
    const { clientId, agentId, input, policy, conversationId, parentMessageId, regenerateMessageId, model, temporary } = message;
    this.#flying.add(clientId);
    try {
      const frame = { type: "run.start", clientId, agentId, input, policy, parentMessageId, regenerateMessageId, model, temporary, conversationId: conversationId || undefined };
      const answer = await client.request(frame);
      this.#flying.delete(clientId);
      client.outbox.drop(clientId);
      // In the open conversation its end may have been told already; only a foreign one is left again.
      if (!this.#isHere(message) && answer.conversationId !== client.conversationId) {
        client.link.send({ type: "unsubscribe", conversationId: answer.conversationId });
        return answer;
      }
      client.dispatch({ ...answer, clientId, agentId });
      await this.taken(answer.conversationId);
      return answer;
    } catch (error) {
      this.#flying.delete(clientId);
      if (error.code === "offline" || error.code === "timeout" || error.code === "lost") {
        // Not a refusal: the message stays in the outbox and goes again when the link is back.
        if (client.link.isOpen) return this.#transmit(message);
        return new Promise((resolve, reject) => this.#later.set(clientId, { resolve, reject }));
      }
      const refusal = { code: error.code, message: error.message };
      client.outbox.put({ ...message, quiet: false, status: "failed", error: refusal });
      if (this.#isHere(message)) client.dispatch({ type: "local.pending-failed", clientId, error: refusal });
      throw error;
    }
  }

  /** Whether a message belongs to what this page shows; of the others only the outbox knows. */
  #isHere(message) {
    return this.client.state.pending.some((one) => one.clientId === message.clientId);
  }
}
