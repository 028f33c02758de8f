/** The feed, read back part by part. What comes meanwhile stands above and shifts nothing: the cursor is a place in time. */
import { api } from "../lib/api.js";

const PART = 40;

export class EarlierActivities {
  #cursor = null;
  #asking = false;
  /** How many were here after the last part: fewer means that a break let go of what was read back. */
  #read = 0;
  #more;

  /** @param {import("./shell.js").Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.#more = (shell.initial.activities?.length ?? 0) >= 20;
    document.addEventListener("feed-earlier", () => this.#ask());
  }

  /** Whether there may be more than what is here. */
  get more() {
    return this.#more || this.shell.client.state.activities.length < this.#read;
  }

  async #ask() {
    if (this.#asking || !this.more) return;
    this.#asking = true;
    const { client } = this.shell;
    try {
      if (client.state.activities.length < this.#read) this.#cursor = null;
      // The first part begins at the newest: it covers what is here, and gives the place where the next one begins.
      const limit = this.#cursor ? PART : Math.min(200, client.state.activities.length + PART);
      const query = new URLSearchParams({ limit, workspace: this.shell.workspace.slug, ...(this.#cursor ? { cursor: this.#cursor } : {}) });
      const { items, nextCursor } = await api("GET", `/api/activities?${query}`);
      this.#cursor = nextCursor;
      this.#more = Boolean(nextCursor);
      client.dispatch({ type: "local.activities-earlier", activities: items });
      this.#read = client.state.activities.length;
      this.shell.draw();
    } catch (error) {
      this.shell.fail("Earlier activity was not loaded", error);
    } finally {
      this.#asking = false;
    }
  }
}
