/**
 * Marks the open conversation as read when its newest message is really seen: the page is visible and the reader is at
 * the end. Told to the server, which tells all tabs and devices of the person.
 */
import { schedule } from "../lib/schedule.js";

export class Reading {
  /** The number up to which the server knows; -1 before it was ever told. */
  #told = -1;
  #telling = false;

  /**
   * @param {import("./shell.js").Shell} shell
   * @param {{atEnd: boolean} & HTMLElement} log `nexus-conversation`
   */
  constructor(shell, log) {
    this.client = shell.client;
    this.log = log;
    const { conversation } = this.client.state;
    if (conversation?.lastReadAt && !conversation.unread) this.#told = this.#newest;
    const look = () => schedule(this.look);
    this.client.addEventListener("change", look);
    this.client.addEventListener("connection", look);
    document.addEventListener("visibilitychange", look);
    log.addEventListener("scroll", look, { passive: true });
    look();
  }

  get #newest() {
    const { state } = this.client;
    return Object.values(state.messages).reduce((most, { number }) => Math.max(most, number ?? 0), 0);
  }

  look = async () => {
    if (this.#telling || document.visibilityState !== "visible" || !this.log.atEnd || !this.client.link.isOpen) return;
    const newest = this.#newest;
    if (newest <= this.#told) return;
    this.#telling = true;
    try {
      await this.client.markRead(newest);
      this.#told = newest;
    } catch {
      // the link broke, or it is not this person's to read any more: the next look tries again
    } finally {
      this.#telling = false;
    }
    if (this.#newest > this.#told && this.client.link.isOpen) schedule(this.look);
  };
}
