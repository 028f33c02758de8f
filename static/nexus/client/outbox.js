/**
 * Messages that were written but not acknowledged. They outlive a lost connection and a reload: each carries
 * its `clientId`, so that sending it twice starts one run.
 */

/** A message older than this is not sent by itself any more: the person decides. */
export const AUTO_SEND_MS = 5 * 60_000;

export class Outbox {
  #memory = [];

  /**
   * @param {Storage|null} storage shared by all tabs of a person; null keeps messages in this page only
   * @param {string} key one per person and workspace
   */
  constructor(storage = null, key = "nexus.outbox") {
    this.storage = storage;
    this.key = key;
  }

  /** Oldest first. Read anew each time: other tabs write here as well. */
  get messages() {
    if (!this.storage) return this.#memory;
    try {
      const stored = JSON.parse(this.storage.getItem(this.key) ?? "[]");
      return Array.isArray(stored) ? stored.filter((one) => one && typeof one.clientId === "string") : [];
    } catch {
      return this.#memory; // foreign or damaged content, or storage that is switched off
    }
  }

  /** @param {{clientId: string}} message */
  put(message) {
    this.#write([...this.messages.filter((one) => one.clientId !== message.clientId), message]);
  }

  drop(clientId) {
    const rest = this.messages.filter((one) => one.clientId !== clientId);
    if (rest.length !== this.messages.length) this.#write(rest);
  }

  /** Those of one conversation (null: not begun yet). */
  of(conversationId) {
    return this.messages.filter((one) => (one.conversationId ?? null) === (conversationId ?? null));
  }

  #write(messages) {
    this.#memory = messages;
    try {
      if (messages.length) this.storage?.setItem(this.key, JSON.stringify(messages));
      else this.storage?.removeItem(this.key);
    } catch {
      // full or switched off: the message still lives in this page
    }
  }
}

/** A fresh id for a message: 128 random bits, also where `crypto.randomUUID` is missing (plain HTTP). */
export function newClientId() {
  if (globalThis.crypto?.randomUUID) return globalThis.crypto.randomUUID();
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
