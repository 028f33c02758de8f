/** `<nexus-math data-display="block">TeX</nexus-math>`: a formula; its source stays visible when it cannot be read. */
import { mathMarkup } from "../markdown/html.js";

export class NexusMath extends HTMLElement {
  #tex = null;

  connectedCallback() {
    if (this.#tex === null) this.#show(this.textContent);
  }

  takeOver(wanted) {
    if (wanted.textContent !== this.#tex) this.#show(wanted.textContent);
    return true;
  }

  async #show(tex) {
    this.#tex = tex;
    const { toMathML } = await import("../markdown/math.js");
    if (this.#tex !== tex) return;
    const display = this.dataset.display === "block";
    const markup = toMathML(tex, display);
    if (markup === null) this.textContent = display ? `$$${tex}$$` : `$${tex}$`;
    else this.replaceChildren(mathMarkup(markup));
    this.setAttribute("role", "math");
    this.setAttribute("aria-label", tex);
  }
}

customElements.define("nexus-math", NexusMath);
