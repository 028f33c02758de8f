/**
 * `<nexus-toast>`: a short word at the edge. `toast({kind, title, text, action})`; six seconds, ten where there is
 * something to press, errors stay, three at once.
 */
import { h, icon } from "../lib/dom.js";

const STAY_MS = 6_000;
/** A way back is read, thought about and reached: for that the same six seconds are short. */
const STAY_ACTION_MS = 10_000;
const MOST = 3;
const MARKS = { ok: "circle-check", info: "info", bad: "triangle-alert", warn: "triangle-alert" };

export class NexusToast extends HTMLElement {
  #timer = null;

  connectedCallback() {
    if (this.dataset.stays === undefined) this.#wait();
    this.addEventListener("pointerenter", () => clearTimeout(this.#timer));
    this.addEventListener("pointerleave", () => this.dataset.stays === undefined && this.#wait());
    this.addEventListener("focusin", () => clearTimeout(this.#timer));
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #wait() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.remove(), this.querySelector(".btn") ? STAY_ACTION_MS : STAY_MS);
  }
}

/**
 * @param {object} options
 * @param {"ok"|"info"|"warn"|"bad"} [options.kind]
 * @param {string} options.title
 * @param {string} [options.text]
 * @param {{label: string, run: () => void}} [options.action]
 * @param {boolean} [options.stays] until it is closed, as errors do
 * @param {() => void} [options.gone] called when it leaves without its action
 * @returns {NexusToast}
 */
export function toast({ kind = "info", title, text = "", action = null, stays = kind === "bad", gone = null }) {
  const holder = document.getElementById("toasts");
  const element = document.createElement("nexus-toast");
  if (stays) element.dataset.stays = "";
  const close = () => element.remove();
  element.append(
    h(`span.st.${kind === "info" ? "run" : kind}`, {}, icon(MARKS[kind], "s")),
    h("div.grow", {}, h("b", {}, title), text ? h("p", {}, text) : null),
    action
      ? h("button.btn.sm", {
          type: "button",
          onclick: () => {
            gone = null;
            close();
            action.run();
          },
        }, action.label)
      : "",
    h("button.ib", { type: "button", "aria-label": "Close", onclick: close }, icon("x", "s")),
  );
  holder.append(element);
  while (holder.childElementCount > MOST) holder.firstElementChild.remove();
  if (gone) new MutationObserver((_, observer) => !element.isConnected && (observer.disconnect(), gone?.())).observe(holder, { childList: true });
  return element;
}

customElements.define("nexus-toast", NexusToast);
