/**
 * `<nexus-token-counter>`: `2,418 tokens · $0.0124 · 9.4 s`, and with `context` a ring that shows how full the model's
 * window is. From 80 % on the ring is amber and says so in words.
 *
 * Property `usage`: `{tokenUsage, cost, durationMs, provider, estimated, context?: {used, window}}`, in tokens.
 */
import { h, icon, setText } from "../lib/dom.js";
import { count, tokenLine } from "../lib/format.js";

/** Where the end of the window is near, and where earlier messages begin to be left out; parts of it. */
const NEAR = 0.8;
const FULL = 0.95;

export class NexusTokenCounter extends HTMLElement {
  set usage(usage) {
    const line = usage ? tokenLine(usage) : "";
    if (!this.querySelector(".line")) {
      this.replaceChildren(h("span.line"));
    }
    setText(this.querySelector(".line"), line);
    const context = usage?.context?.window ? usage.context : null;
    this.toggleAttribute("hidden", !line && !context);
    this.#ring(context);
  }

  #ring(context) {
    let holder = this.querySelector(".context");
    if (!context) return holder?.remove();
    if (!holder) {
      holder = h("span.context", { tabindex: "0", role: "img" }, h("span.ring"), icon("triangle-alert", "s"), h("span.words"));
      this.prepend(holder);
    }
    const part = Math.min(1, context.used / context.window);
    const percent = Math.round(part * 100);
    const near = part >= NEAR;
    holder.querySelector(".ring").style.setProperty("--v", String(part * 100));
    holder.classList.toggle("warn", near);
    setText(holder.querySelector(".words"), near ? `${percent} % of context` : "");
    const more = part >= FULL ? " The oldest messages may be left out from now on." : near ? " Near the end, the oldest messages are left out." : "";
    const words = `${percent} % of context: ${count(context.used)} of ${count(context.window)} tokens.${more}`;
    if (holder.title === words) return;
    holder.title = words;
    holder.setAttribute("aria-label", words);
  }
}

customElements.define("nexus-token-counter", NexusTokenCounter);
