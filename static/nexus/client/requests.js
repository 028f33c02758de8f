/** Questions to the server and their answers: an `id` each, a time to wait, and an end when the connection is lost. */

/** How long a question to the server may stay without an answer, ms. */
const ANSWER_MS = 20_000;
/** A timer this much behind its time slept: the answer may lie unread in the socket, ms. */
const LATE_MS = 4_000;

/** A refusal by the server, with its code for a program and its message for a person. */
export class NexusError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "NexusError";
    this.code = code;
  }
}

export class Requests {
  #waiting = new Map();
  #nextId = 1;

  /** @param {(frame: object) => boolean} send gives a frame to an open socket; whether there was one */
  constructor(send) {
    this.send = send;
  }

  /**
   * Asks and waits for the answer.
   * @param {object} frame without `id`
   * @returns {Promise<object>} the answering frame; rejects with `NexusError` (the server's code, `timeout`, `offline`, `lost`)
   */
  ask(frame) {
    const id = `c${this.#nextId++}`;
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject, type: frame.type, timer: null };
      const wait = (ms) => {
        const due = Date.now() + ms;
        waiting.timer = setTimeout(() => {
          // After a sleep the answer may lie unread in the socket, or the link is dead and about to say so.
          if (Date.now() - due > LATE_MS) return wait(LATE_MS);
          this.#waiting.delete(id);
          reject(new NexusError("timeout", "The server did not answer. Try again."));
        }, ms);
      };
      wait(ANSWER_MS);
      this.#waiting.set(id, waiting);
      if (this.send({ ...frame, id })) return;
      clearTimeout(waiting.timer);
      this.#waiting.delete(id);
      reject(new NexusError("offline", "You are offline. Try again when the connection is back."));
    });
  }

  /** Takes the question that a frame answers, if it answers one: its `resolve` and `reject` are the caller's to call. */
  take(frame) {
    const waiting = frame.id !== undefined ? this.#waiting.get(frame.id) : undefined;
    if (!waiting) return null;
    this.#waiting.delete(frame.id);
    clearTimeout(waiting.timer);
    return waiting;
  }

  /** The connection ended with that close code: nothing that was asked will be answered. */
  lost(code) {
    for (const { reject, timer, type } of this.#waiting.values()) {
      clearTimeout(timer);
      // 4009 answers the message that was too large: to send it again would close the socket again.
      reject(code === 4009 && type === "run.start" ? new NexusError("frame_too_large", "This message is too long to send.") : new NexusError("lost", "The connection was lost."));
    }
    this.#waiting.clear();
  }
}
