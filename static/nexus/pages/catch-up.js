/**
 * What was missed: between the moment when the server drew this page and the one when its socket was there, and in every
 * break after that, nobody told this page anything. Each time the link opens, and when the server says that something was
 * lost on its way, the list and the feed are read anew.
 */
import { api } from "../lib/api.js";

/** After a break all tabs of all people ask: not in one moment, ms. */
const SPREAD_MS = 2_000;
/** A server in trouble is asked again after so long, and a few times longer, ms. */
const AGAIN_MS = [2_000, 8_000, 30_000];
const ACTIVITIES = 20;

export class CatchUp {
  /** Counts the openings: an older one's work ends when a newer one begins. */
  #opening = 0;

  /**
   * @param {import("../client/client.js").NexusClient} client
   * @param {import("./nav.js").ConversationList} list
   * @param {string} workspace its slug: another tab may have switched the session to another one
   */
  constructor(client, list, workspace) {
    Object.assign(this, { client, list, workspace });
    client.link.addEventListener("open", () => this.#opened());
    client.addEventListener("missed", () => this.#opened());
  }

  #opened() {
    const opening = ++this.#opening;
    const first = opening === 1;
    const isOver = () => opening !== this.#opening || !this.client.link.isOpen;
    setTimeout(() => {
      this.#try(() => this.list.refresh(), isOver);
      if (document.querySelector("nexus-activity-feed")) this.#try(() => this.#activities(), isOver);
    }, first ? 0 : Math.random() * SPREAD_MS);
  }

  async #try(read, isOver) {
    for (const pause of [...AGAIN_MS, null]) {
      if (isOver()) return; // the next opening asks
      try {
        return await read();
      } catch {
        if (pause === null) return; // the next opening or the next page brings it
        await new Promise((done) => setTimeout(done, pause));
      }
    }
  }

  async #activities() {
    const { items } = await api("GET", `/api/activities?${new URLSearchParams({ limit: ACTIVITIES, workspace: this.workspace })}`);
    this.client.dispatch({ type: "local.activities", activities: items });
  }
}
