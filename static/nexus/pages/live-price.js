/** What the answer that is being written costs by the token, for its meter. Asked once for each, and not of short ones. */
import { isLive } from "../client/run.js";
import { api } from "../lib/api.js";

/** An answer that is done sooner needs no meter, ms. */
const LONG_MS = 1500;

export class LivePrice {
  #known = new Map();

  /** @param {import("./shell.js").Shell} shell @param {() => void} draw called when a price has come */
  constructor(shell, draw) {
    this.shell = shell;
    this.draw = draw;
  }

  /** What is known of the run's price by now, as `client/meter.js` takes it; null: nothing. */
  of(run) {
    if (!run || !isLive(run) || !run.firstWordsAt || this.shell.readonly) return null;
    if (!this.#known.has(run.id) && Date.now() - (run.startedAt ?? Date.now()) > LONG_MS) this.#ask(run);
    return this.#known.get(run.id) ?? null;
  }

  async #ask(run) {
    this.#known.set(run.id, null);
    try {
      this.#known.set(run.id, await api("POST", "/api/invoke/preview", { agentId: run.agentId, conversationId: run.conversationId, message: "." }));
      this.draw();
    } catch {
      // an agent without a model has no price: its meter shows tokens
    }
  }
}
