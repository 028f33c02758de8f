/**
 * Messages that were written but not acknowledged. They outlive a lost connection, a reload and the tab: each carries
 * its `clientId`, so that sending it twice starts one run.
 *
 * Each has a key of its own in the storage: all tabs of a person write there, and none overwrites another's.
 */

/** A message older than this is not sent by itself after a reload: the person decides. */
export const AUTO_SEND_MS = 60 * 60_000;

export class Outbox {
  /** Those that the storage did not take: they live as long as this page. */
  #memory = new Map();

  /**
   * @param {Storage|null} storage shared by all tabs of a person; null keeps messages in this page only
   * @param {string} key one per person and workspace
   */
  constructor(storage = null, key = "nexus.outbox") {
    this.storage = storage;
    this.prefix = `${key}/`;
  }

  /** Oldest first. Read anew each time: other tabs write here as well. */
  get messages() {
    const all = new Map(this.#memory);
    for (const key of this.#keys()) {
      const message = this.#read(key);
      if (message) all.set(message.clientId, message);
    }
    return [...all.values()].sort((a, b) => (a.at ?? 0) - (b.at ?? 0));
  }

  has(clientId) {
    return this.#memory.has(clientId) || this.#read(this.prefix + clientId) !== null;
  }

  /** @param {{clientId: string}} message */
  put(message) {
    try {
      if (!this.storage) throw new Error("no storage");
      this.storage.setItem(this.prefix + message.clientId, JSON.stringify(message));
      this.#memory.delete(message.clientId);
    } catch {
      this.#memory.set(message.clientId, message); // full, switched off or not there
    }
  }

  drop(clientId) {
    this.#memory.delete(clientId);
    try {
      this.storage?.removeItem(this.prefix + clientId);
    } catch {
      // switched off
    }
  }

  /** Those of one conversation (null: not begun yet). */
  of(conversationId) {
    return this.messages.filter((one) => (one.conversationId ?? null) === (conversationId ?? null));
  }

  /** The message that a storage event of another tab took away, or null. */
  dropped(event) {
    if (event.storageArea !== this.storage || event.newValue !== null || !event.key?.startsWith(this.prefix)) return null;
    return event.key.slice(this.prefix.length);
  }

  #keys() {
    try {
      return Array.from({ length: this.storage?.length ?? 0 }, (_, index) => this.storage.key(index)).filter((key) => key?.startsWith(this.prefix));
    } catch {
      return [];
    }
  }

  #read(key) {
    try {
      const message = JSON.parse(this.storage?.getItem(key) ?? "null");
      return message && typeof message.clientId === "string" ? message : null;
    } catch {
      return null; // foreign or damaged content, or storage that is switched off
    }
  }
}

/** A fresh id for a message: 128 random bits, also where `crypto.randomUUID` is missing (plain HTTP). */
export function newClientId() {
  if (globalThis.crypto?.randomUUID) return globalThis.crypto.randomUUID();
  const bytes = globalThis.crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
