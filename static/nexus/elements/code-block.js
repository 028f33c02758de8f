/**
 * `<nexus-code-block data-lang="python"><pre><code>…`: code with its language, wrap and copy.
 *
 * Property `open`: the fence is not closed yet; then there is no copying, and no colours.
 */
import { h, icon } from "../lib/dom.js";
import { highlighted } from "../markdown/html.js";

const COPIED_MS = 2000;

export class NexusCodeBlock extends HTMLElement {
  #open = false;
  #header = null;

  connectedCallback() {
    if (this.#header) return;
    this.#header = h("header", {}, h("span.mono", {}, this.dataset.lang || "text"), h("span.grow"));
    this.#header.append(
      h("button.ib", { type: "button", "aria-label": "Wrap lines", title: "Wrap lines", "aria-pressed": "false", onclick: (event) => this.#wrap(event.currentTarget) }, icon("wrap-text", "s")),
      h("button.ib", { type: "button", "aria-label": "Copy code", title: "Copy code", data: { copy: "" }, onclick: (event) => this.#copy(event.currentTarget) }, icon("copy", "s")),
    );
    this.prepend(this.#header);
    this.#update();
  }

  get code() {
    return this.querySelector("code")?.textContent ?? "";
  }

  get open() {
    return this.#open;
  }

  set open(open) {
    this.#open = open;
    this.#update();
  }

  /** Takes over the text of a newer drawing of the same block; called by `morph.js`. */
  takeOver(wanted) {
    if (wanted.dataset.lang !== this.dataset.lang) return false;
    const code = this.querySelector("code");
    const text = wanted.querySelector("code")?.textContent ?? "";
    if (!code) return false;
    const have = code.textContent;
    if (have === text) return true;
    delete this.dataset.coloured;
    // While it is written a block ends in a line break that the next piece moves: only what is new is appended.
    const stem = have.endsWith("\n") ? have.slice(0, -1) : have;
    if (code.childNodes.length === 1 && text.startsWith(stem)) {
      code.firstChild.replaceData(stem.length, have.length - stem.length, text.slice(stem.length));
    } else code.textContent = text;
    return true;
  }

  #update() {
    if (!this.#header) return;
    this.#header.querySelector("[data-copy]").hidden = this.#open;
    if (!this.#open) this.#colour();
  }

  async #colour() {
    if (this.dataset.coloured !== undefined || !this.dataset.lang) return;
    this.dataset.coloured = "";
    const { colour } = await import("../markdown/highlight.js");
    const code = this.querySelector("code");
    if (this.#open) delete this.dataset.coloured;
    if (!code || this.dataset.coloured === undefined) return;
    const html = colour(code.textContent, this.dataset.lang);
    if (html !== null) code.replaceChildren(highlighted(html));
  }

  #wrap(button) {
    const wrapped = this.toggleAttribute("wrap");
    button.setAttribute("aria-pressed", String(wrapped));
  }

  async #copy(button) {
    const { copyText } = await import("../lib/clipboard.js");
    if (!(await copyText(this.code))) return;
    button.replaceChildren(icon("check", "s"), h("span", {}, "Copied"));
    button.classList.add("said");
    setTimeout(() => {
      button.classList.remove("said");
      button.replaceChildren(icon("copy", "s"));
    }, COPIED_MS);
  }
}

customElements.define("nexus-code-block", NexusCodeBlock);
