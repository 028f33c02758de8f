/**
 * `<nexus-conversation>`: the log of messages that scrolls alone.
 *
 * Keeps to the end only while the reader is at the end; else it stays where the reader is, and a button with the
 * number of new messages leads down. Method: `draw(entries, viewOf)`. Events: those of `nexus-message`, and
 * `message-in-view` {runId}. What the server drew is taken over, not drawn again.
 */
import { isLive } from "../client/run.js";
import { emit, h, icon } from "../lib/dom.js";
import { day } from "../lib/format.js";

/** How near to the end counts as at the end, px. */
const NEAR = 24;

export class NexusConversation extends HTMLElement {
  #elements = new Map();
  #days = new Map();
  #atEnd = true;
  #height = 0;
  #unseen = 0;
  #known = null;
  #observer = null;
  #inView = null;

  connectedCallback() {
    this.log = this.querySelector('[role="log"]');
    if (!this.log) return;
    this.jump = h("button.btn.sm.jump", { type: "button", hidden: true, onclick: () => this.toEnd() }, icon("arrow-down", "s"), h("span", {}, "Jump to the latest"));
    document.querySelector(".dock > div")?.prepend(this.jump);
    this.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    // Opening a row at the end must not push it away from the pointer.
    this.addEventListener("click", (event) => event.target.closest("summary") && this.#hold());
    this.#height = this.#hidden;
    this.#observer = new ResizeObserver(() => this.#resized());
    this.#observer.observe(this.log);
    this.#observer.observe(this);
    for (const element of this.log.querySelectorAll("nexus-message[message-id]")) this.#elements.set(`drawn:${element.getAttribute("message-id")}`, element);
  }

  disconnectedCallback() {
    this.#observer?.disconnect();
    this.jump?.remove();
  }

  get atEnd() {
    return this.#atEnd;
  }

  /** The list grows upwards from its end, so the end is at scroll position 0. */
  toEnd() {
    // Far away, or while an answer grows, a smooth way down would be overtaken by what arrives.
    const growing = this.log.getAttribute("aria-busy") === "true";
    const still = growing || matchMedia("(prefers-reduced-motion: reduce)").matches || Math.abs(this.scrollTop) > 4000;
    this.#atEnd = true;
    this.scrollTo({ top: 0, behavior: still ? "instant" : "smooth" });
    this.#seen();
  }

  /**
   * @param {import("../client/thread.js").Entry[]} entries
   * @param {(entry: object, last: boolean) => object} viewOf what `nexus-message` needs beside its entry
   */
  draw(entries, viewOf) {
    const children = [];
    const used = new Set();
    let date = null;
    entries.forEach((entry, index) => {
      const at = entry.message?.createdAt ?? entry.pending?.at ?? entry.run?.queuedAt ?? entry.run?.startedAt ?? Date.now();
      const today = new Date(at).toDateString();
      if (today !== date) {
        date = today;
        children.push(this.#day(today, at));
      }
      const element = this.#elementOf(entry);
      used.add(element);
      const last = index === entries.length - 1;
      element.view = viewOf(entry, last);
      children.push(element);
    });
    this.#countNew(entries);
    for (const [key, element] of this.#elements) if (!used.has(element)) this.#elements.delete(key);
    this.#place(children);
    this.log.setAttribute("aria-busy", String(entries.some((entry) => entry.run && isLive(entry.run))));
  }

  /** Scrolls to a message and lights it up for a moment. */
  reveal(messageId) {
    const element = this.log.querySelector(`[message-id="${CSS.escape(messageId)}"]`);
    if (!element) return false;
    this.#atEnd = false;
    element.scrollIntoView({ block: "center" });
    element.classList.add("found");
    setTimeout(() => element.classList.remove("found"), 2000);
    element.tabIndex = -1;
    element.focus({ preventScroll: true });
    return true;
  }

  /** The next (1) or previous (-1) message gets the focus. */
  step(by) {
    const all = [...this.log.querySelectorAll("nexus-message")];
    const here = all.indexOf(document.activeElement?.closest("nexus-message"));
    const next = all[here < 0 ? (by < 0 ? all.length - 1 : 0) : Math.min(all.length - 1, Math.max(0, here + by))];
    if (!next) return null;
    next.tabIndex = -1;
    next.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
    this.#scrolled();
    return next;
  }

  #elementOf(entry) {
    const drawn = entry.message ? `drawn:${entry.message.id}` : null;
    let element = this.#elements.get(entry.key) ?? (drawn ? this.#elements.get(drawn) : null);
    if (!element) element = document.createElement("nexus-message");
    if (drawn) this.#elements.delete(drawn);
    this.#elements.set(entry.key, element);
    return element;
  }

  #day(key, at) {
    let element = this.#days.get(key);
    if (!element) {
      element = h("div.day", {}, day(at));
      this.#days.set(key, element);
    }
    return element;
  }

  /** Only what moved is touched: the focus, and what a reader selected, stay. */
  #place(children) {
    let next = this.log.firstChild;
    for (const child of children) {
      if (child === next) {
        next = next.nextSibling;
        continue;
      }
      this.log.insertBefore(child, next);
    }
    while (next) {
      const gone = next;
      next = next.nextSibling;
      gone.remove();
    }
  }

  #countNew(entries) {
    const keys = new Set(entries.map((entry) => entry.message?.id ?? entry.key));
    if (this.#known && !this.#atEnd) {
      for (const key of keys) if (!this.#known.has(key)) this.#unseen += 1;
      this.#showJump();
    }
    const mine = entries.at(-1);
    if (this.#known && mine?.pending && !this.#known.has(mine.key)) this.toEnd();
    this.#known = keys;
  }

  #scrolled() {
    this.#atEnd = this.scrollTop > -NEAR;
    if (this.#atEnd) this.#seen();
    this.#showJump();
    this.#tellInView();
  }

  /** How much of the log does not fit; it changes with the log and with the composer below. */
  get #hidden() {
    return this.log.offsetHeight - this.clientHeight;
  }

  /** The list is laid out from its end: while a reader is further up, what grows below must not move what is read. */
  #resized() {
    const height = this.#hidden;
    const grown = height - this.#height;
    this.#height = height;
    if (grown && !this.#atEnd) this.scrollTop -= grown;
  }

  #hold() {
    this.#atEnd = false;
    setTimeout(() => this.#scrolled(), 300);
  }

  #seen() {
    this.#unseen = 0;
    this.#showJump();
  }

  #showJump() {
    if (!this.jump) return;
    this.jump.hidden = this.#atEnd || this.scrollTop > -200;
    this.jump.lastElementChild.textContent = this.#unseen ? `${this.#unseen} new ${this.#unseen === 1 ? "message" : "messages"}` : "Jump to the latest";
  }

  #tellInView() {
    const box = this.getBoundingClientRect();
    const line = box.top + box.height * 0.6;
    const answers = [...this.log.querySelectorAll('nexus-message[from="assistant"]')];
    const element = answers.findLast((one) => one.getBoundingClientRect().top < line) ?? answers[0];
    const runId = element?.view?.entry.run?.id ?? null;
    if (runId === this.#inView) return;
    this.#inView = runId;
    emit(this, "message-in-view", { runId: this.#atEnd ? null : runId });
  }
}

customElements.define("nexus-conversation", NexusConversation);
