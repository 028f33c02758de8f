/**
 * `<nexus-suggestions>`: prompts to click instead of writing. What the server drew (`[data-suggestion]`) works as well.
 * Property `items`: strings, at most three are shown. Event: `suggestion-click` {suggestion}.
 */
import { emit, h } from "../lib/dom.js";

const MOST = 3;

export class NexusSuggestions extends HTMLElement {
  #items = null;

  connectedCallback() {
    this.addEventListener("click", this.#clicked);
  }

  disconnectedCallback() {
    this.removeEventListener("click", this.#clicked);
  }

  /** @param {string[]} items */
  set items(items) {
    const shown = items.slice(0, MOST);
    if (this.#items && shown.join("\n") === this.#items.join("\n")) return;
    this.#items = shown;
    this.hidden = shown.length === 0;
    this.replaceChildren(...shown.map((text) => h("button.sg", { type: "button", data: { suggestion: text } }, text)));
  }

  #clicked = (event) => {
    const button = event.target.closest("[data-suggestion]");
    if (button) emit(this, "suggestion-click", { suggestion: button.dataset.suggestion });
  };
}

customElements.define("nexus-suggestions", NexusSuggestions);
