/**
 * The earlier part of a long conversation: loaded when the reader comes near its top, presses the button, or follows a
 * link to a message up there; and branches that were too long to come along.
 */
import { api } from "../lib/api.js";
import { schedule } from "../lib/schedule.js";

/** How many messages a step back brings, and a search for one message. */
const STEP = 60;
const LEAP = 200;

export class Earlier {
  #loading = null;
  #failed = false;

  /**
   * @param {import("./shell.js").Shell} shell
   * @param {import("../elements/conversation.js").NexusConversation} log
   * @param {() => void} draw
   */
  constructor(shell, log, draw) {
    this.shell = shell;
    this.client = shell.client;
    this.log = log;
    this.draw = draw;
    log.addEventListener("earlier-wanted", () => this.load());
    this.client.addEventListener("change", (event) => this.#mend(event.detail.frame));
    // What failed while there was no connection is asked for again by the next step up.
    this.client.addEventListener("connection", ({ detail }) => detail.status === "live" && (this.#failed = false));
    if (location.search.includes("before=")) history.replaceState(null, "", location.pathname + location.hash);
  }

  /** What the log shows at its top. */
  get view() {
    const { earlier } = this.client.state;
    return earlier ? { count: earlier.count, loading: Boolean(this.#loading), failed: this.#failed } : null;
  }

  /** The part before the first message; asked twice it is loaded once. */
  load(limit = STEP) {
    this.#loading ??= this.#load(limit).finally(() => {
      this.#loading = null;
      this.draw();
    });
    schedule(this.draw);
    return this.#loading;
  }

  async #load(limit) {
    const { earlier } = this.client.state;
    if (!earlier) return;
    this.#failed = false;
    try {
      const part = await this.#part({ before: earlier.before, limit });
      // A reconnect may have brought another beginning meanwhile.
      if (this.client.state.earlier?.before === earlier.before) this.client.dispatch({ type: "local.earlier", ...part });
    } catch {
      this.#failed = true;
    }
  }

  /** Scrolls to a message, after loading what lies between. */
  async reveal(messageId) {
    while (!this.log.reveal(messageId) && this.client.state.earlier && !this.#failed) {
      await this.load(LEAP);
      this.draw();
    }
  }

  /** Shows another version; one that is not here beyond its first message is loaded first. */
  async choose(fork, messageId) {
    if (!this.client.state.unloaded.includes(messageId)) return this.client.chooseBranch(fork, messageId);
    try {
      this.client.dispatch({ type: "local.branch", ...(await this.#part({ through: messageId })) });
    } catch (error) {
      this.shell.fail("This version was not loaded", error);
    }
  }

  /** Somebody wrote on from a message that is not loaded: the branch is read anew, from its end. */
  async #mend(frame) {
    if (frame.type !== "message.created") return;
    const { earlier, messages } = this.client.state;
    const parentId = frame.message?.parentId ?? null;
    if (!earlier || messages[parentId]) return;
    const beside = Object.values(messages).some((one) => one.id !== frame.message.id && one.parentId === parentId);
    if (beside) return;
    try {
      this.client.dispatch({ type: "local.branch", ...(await this.#part({ through: frame.message.id })) });
    } catch (error) {
      this.shell.fail("A new version was not loaded", error);
    }
  }

  #part(query) {
    return api("GET", `/api/conversations/${this.client.conversationId}/thread?${new URLSearchParams(query)}`);
  }
}
