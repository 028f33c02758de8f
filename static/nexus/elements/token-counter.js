/**
 * `<nexus-token-counter>`: `2,418 tokens · $0.0124 · 9.4 s`, and with `context` a ring that shows how much of the
 * model's window is used.
 *
 * Property `usage`: `{tokenUsage, cost, durationMs, provider, estimated, context?: 0..100}`.
 */
import { h, setText } from "../lib/dom.js";
import { tokenLine } from "../lib/format.js";

export class NexusTokenCounter extends HTMLElement {
  set usage(usage) {
    const line = usage ? tokenLine(usage) : "";
    if (!this.querySelector(".line")) {
      this.replaceChildren(h("span.line"));
    }
    setText(this.querySelector(".line"), line);
    this.toggleAttribute("hidden", !line);
    this.#ring(usage?.context ?? null);
  }

  #ring(percent) {
    let ring = this.querySelector(".ring");
    if (percent === null) return ring?.remove();
    if (!ring) {
      ring = h("span.ring", { role: "img" });
      this.prepend(ring);
    }
    ring.style.setProperty("--v", String(Math.min(100, percent)));
    ring.setAttribute("aria-label", `${Math.round(percent)} % of the context window used`);
  }
}

customElements.define("nexus-token-counter", NexusTokenCounter);
