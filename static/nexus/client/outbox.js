/**
 * Messages that were written but not acknowledged. They outlive a lost connection and a reload: each carries
 * its `clientId`, so that sending it twice starts one run.
 */

/** A message older than this is not sent by itself any more: the person decides. */
export const AUTO_SEND_MS = 5 * 60_000;

export class Outbox {
  /**
   * @param {Storage|null} storage
   * @param {string} key one per person and workspace
   */
  constructor(storage = null, key = "nexus.outbox") {
    this.storage = storage;
    this.key = key;
    /** @type {object[]} oldest first */
    this.messages = this.#read();
  }

  /** @param {{clientId: string}} message */
  put(message) {
    this.messages = [...this.messages.filter((one) => one.clientId !== message.clientId), message];
    this.#write();
  }

  drop(clientId) {
    const before = this.messages.length;
    this.messages = this.messages.filter((one) => one.clientId !== clientId);
    if (this.messages.length !== before) this.#write();
  }

  /** Those of one conversation (null: not begun yet). */
  of(conversationId) {
    return this.messages.filter((one) => (one.conversationId ?? null) === (conversationId ?? null));
  }

  #read() {
    try {
      const stored = JSON.parse(this.storage?.getItem(this.key) ?? "[]");
      return Array.isArray(stored) ? stored.filter((one) => one && typeof one.clientId === "string") : [];
    } catch {
      return []; // foreign or damaged content, or storage that is switched off
    }
  }

  #write() {
    try {
      if (this.messages.length) this.storage?.setItem(this.key, JSON.stringify(this.messages));
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
