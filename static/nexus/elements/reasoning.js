/**
 * `<nexus-reasoning>`: what the model thought. Open while it thinks, with the seconds counting; closes itself when it
 * is done. A reader who opened or closed it is not overruled.
 *
 * Property `item`: `{text, startedAt, endedAt}` of a run; `endedAt` null while it goes on.
 */
import { h, icon, setText } from "../lib/dom.js";
import { wholeSeconds } from "../lib/format.js";
import { tick } from "../lib/schedule.js";

export class NexusReasoning extends HTMLElement {
  #item = null;
  #touched = false;
  #stop = null;

  connectedCallback() {
    this.querySelector("summary")?.addEventListener("click", () => (this.#touched = true));
  }

  disconnectedCallback() {
    this.#stop?.();
    this.#stop = null;
  }

  get item() {
    return this.#item;
  }

  set item(item) {
    if (item === this.#item) return;
    const first = !this.#item;
    const wasLive = Boolean(this.#item) && this.#item.endedAt === null;
    this.#item = item;
    if (first) this.#build();
    const live = item.endedAt === null;
    const details = this.firstElementChild;
    if (!this.#touched && (first || wasLive !== live)) details.open = live;
    if (live && !this.#stop) this.#stop = tick((now) => this.#count(now));
    if (!live && this.#stop) {
      this.#stop();
      this.#stop = null;
    }
    this.#count(Date.now());
    const body = this.querySelector(".txt");
    if (item.text.startsWith(body.textContent)) body.append(item.text.slice(body.textContent.length));
    else body.textContent = item.text;
    body.normalize();
    if (live) body.scrollTop = body.scrollHeight;
  }

  #build() {
    const summary = h("summary", { onclick: () => (this.#touched = true) }, icon("chevron-right", "s chev"), h("span.what.num"));
    this.replaceChildren(h("details", {}, summary, h("div.txt", { "aria-live": "off" })));
  }

  #count(now) {
    const { startedAt, endedAt } = this.#item;
    const what = this.querySelector(".what");
    if (endedAt === null) setText(what, `Thinking · ${wholeSeconds(now - startedAt)}`);
    else setText(what, endedAt - startedAt >= 500 ? `Thought for ${wholeSeconds(endedAt - startedAt)}` : "Thought for a moment");
  }
}

customElements.define("nexus-reasoning", NexusReasoning);
