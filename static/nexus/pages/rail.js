/** The steps of the answer in view, beside the conversation; a click on one leads to its place in it. */
import { applyChunk, isLive, newRun } from "../client/run.js";
import { currentRun } from "../client/thread.js";
import { api } from "../lib/api.js";

export class Rail {
  #runInView = null;
  /** Answers that were finished before this page was opened, with their steps, by run. */
  #older = new Map();

  /**
   * @param {import("./shell.js").Shell} shell
   * @param {HTMLElement} log the messages
   * @param {object} options
   * @param {(run: object) => object|null} options.priceOf
   * @param {() => void} options.changed draws the page again
   */
  constructor(shell, log, { priceOf, changed }) {
    Object.assign(this, { shell, log, priceOf, changed });
    this.waterfall = document.querySelector("nexus-run-waterfall");
    log.addEventListener("message-in-view", (event) => {
      this.#runInView = event.detail.runId;
      changed();
    });
    document.addEventListener("run-row", (event) => this.#toRow(event.detail));
  }

  draw(state) {
    if (!this.waterfall) return;
    const run = currentRun(state, this.#runInView);
    const shown = run && !isLive(run) && !run.items.length ? (this.#older.get(run.id) ?? run) : run;
    this.waterfall.view = run ? { run: shown, agent: this.shell.agentOf(run.agentId), price: this.priceOf(run) } : null;
    if (shown && !isLive(shown) && !shown.items.length && !this.#older.has(run.id)) this.#loadSteps(run);
  }

  /** The steps of an answer that was finished before this page was opened, from its log. */
  async #loadSteps(run) {
    this.#older.set(run.id, run);
    let told = newRun(run.id, { ...run, status: "queued", lastSeq: 0 });
    try {
      for (let more = true; more; ) {
        const { items } = await api("GET", `/api/runs/${run.id}/chunks?after=${told.lastSeq}`);
        for (const { seq, chunk } of items) told = applyChunk(told, seq, chunk);
        more = items.length > 0 && isLive(told);
      }
      this.#older.set(run.id, { ...told, status: run.status, loaded: true });
      this.changed();
    } catch {
      this.#older.delete(run.id); // it is tried again when the answer comes into view again
    }
  }

  #toRow({ runId, toolId }) {
    const element = [...this.log.querySelectorAll("nexus-message")].find((one) => one.view?.entry.run?.id === runId);
    const row = toolId ? [...(element?.querySelectorAll("nexus-tool-call") ?? [])].find((one) => one.item?.toolId === toolId) : element;
    (row ?? element)?.scrollIntoView({ block: "center" });
    row?.querySelector("summary")?.focus();
  }
}
