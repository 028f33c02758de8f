/**
 * `<nexus-toast>`: a short word at the edge. `toast({kind, title, text, action})`; six seconds, errors stay, three at
 * once. Whoever points at one, or has the focus in it, has all the time they want. They stand beside what one writes
 * in, or above it, never on it.
 */
import { h, icon } from "../lib/dom.js";

const STAY_MS = 6_000;
const MOST = 3;
const MARKS = { ok: "circle-check", info: "info", bad: "triangle-alert", warn: "triangle-alert" };

export class NexusToast extends HTMLElement {
  #timer = null;
  #held = new Set();

  connectedCallback() {
    this.#wait();
    for (const [begins, ends] of [["pointerenter", "pointerleave"], ["focusin", "focusout"]]) {
      this.addEventListener(begins, () => this.#hold(begins, true));
      this.addEventListener(ends, () => this.#hold(begins, false));
    }
  }

  disconnectedCallback() {
    clearTimeout(this.#timer);
  }

  #hold(by, held) {
    if (held) this.#held.add(by);
    else this.#held.delete(by);
    this.#wait();
  }

  #wait() {
    clearTimeout(this.#timer);
    if (this.dataset.stays === undefined && !this.#held.size) this.#timer = setTimeout(() => this.remove(), STAY_MS);
  }
}

let watched = null;
const heights = new ResizeObserver(() => room());

/** How high what is docked at the foot of the page is: toasts that would lie on it stand above it. */
function room() {
  document.getElementById("toasts").style.setProperty("--docked", `${watched?.offsetHeight ?? 0}px`);
}

function keepClear() {
  const dock = document.querySelector(".dock");
  if (dock === watched) return;
  heights.disconnect();
  watched = dock;
  if (dock) heights.observe(dock);
  room();
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
  keepClear();
  holder.append(element);
  while (holder.childElementCount > MOST) holder.firstElementChild.remove();
  if (gone) new MutationObserver((_, observer) => !element.isConnected && (observer.disconnect(), gone?.())).observe(holder, { childList: true });
  return element;
}

customElements.define("nexus-toast", NexusToast);
