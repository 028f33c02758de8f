/**
 * `<nexus-conversation>`: the log of messages that scrolls alone.
 *
 * Keeps to the end only while the reader is at the end; else it stays where the reader is, and a button with the
 * number of new messages leads down. Method: `draw(entries, viewOf)`. Property `earlier`: what stands before the first
 * message (`{count, loading, failed}` or null). Events: those of `nexus-message`, `message-in-view` {runId}, and
 * `earlier-wanted` near the top. What the server drew is taken over, not drawn again.
 */
import { isLive } from "../client/run.js";
import { emit, h, icon } from "../lib/dom.js";
import { day } from "../lib/format.js";

/** How near to the end counts as at the end, px. */
const NEAR = 24;
/** How far above the view the part before is fetched, px. */
const AHEAD = 900;

export class NexusConversation extends HTMLElement {
  #elements = new Map();
  #days = new Map();
  #atEnd = true;
  #height = 0;
  #unseen = 0;
  #known = null;
  #observer = null;
  #inView = null;
  /** What the reader looks at, and where it stood: it stays there when something above or below grows. */
  #anchor = null;
  #earlier = null;
  /** Where the scroll position was put by us: the place that is kept is still the reader's. */
  #corrected = null;

  connectedCallback() {
    this.log = this.querySelector('[role="log"]');
    if (!this.log) return;
    this.top = this.log.querySelector(".earlier");
    this.top?.addEventListener("click", (event) => this.#wantEarlier(event));
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

  /** @param {{count: number, loading: boolean, failed: boolean}|null} earlier */
  set earlier(earlier) {
    const before = this.#earlier;
    this.#earlier = earlier;
    if (!this.top || JSON.stringify(before) === JSON.stringify(earlier)) return;
    let button = this.top.querySelector(".btn");
    const origin = this.top.querySelector(".origin");
    if (origin) origin.hidden = Boolean(earlier);
    if (!earlier) {
      // Who pressed the button and has read everything goes on at the first message.
      if (button && button === document.activeElement) this.step(-Infinity);
      for (const one of this.top.querySelectorAll(".btn")) one.remove();
      return;
    }
    if (button?.localName !== "button") {
      const made = h("button.btn.sm.quiet", { type: "button" }, icon("arrow-up", "s"), h("span"));
      if (button) button.replaceWith(made);
      else this.top.append(made);
      button = made;
    }
    const words = earlier.loading ? "Loading earlier messages" : earlier.failed ? "Not loaded. Try again" : `${earlier.count.toLocaleString()} earlier ${earlier.count === 1 ? "message" : "messages"}`;
    button.setAttribute("aria-busy", String(earlier.loading));
    if (button.lastElementChild.textContent !== words) button.lastElementChild.textContent = words;
  }

  #wantEarlier(event) {
    if (!event.target.closest(".btn") || !this.#earlier) return;
    event.preventDefault();
    if (!this.#earlier.loading) emit(this, "earlier-wanted");
  }

  #nearTop() {
    // Only where the reader went there: a page that is opened and left loads one part.
    if (this.#earlier && !this.#earlier.loading && !this.#earlier.failed && !this.#atEnd) emit(this, "earlier-wanted");
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
    const children = this.top ? [this.top] : [];
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
    if (by === -Infinity) all.length = Math.min(all.length, 1);
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
    const keys = entries.map((entry) => entry.message?.id ?? entry.key);
    if (this.#known && !this.#atEnd) {
      // What came above is not new.
      this.#unseen += keys.length - 1 - keys.findLastIndex((key) => this.#known.has(key));
      this.#showJump();
    }
    const mine = entries.at(-1);
    if (this.#known && mine?.pending && !this.#known.has(mine.key)) this.toEnd();
    this.#known = new Set(keys);
  }

  #scrolled() {
    this.#atEnd = this.scrollTop > -NEAR;
    if (this.#atEnd) this.#seen();
    this.#showJump();
    this.#tellInView();
    if (this.scrollTop !== this.#corrected) this.#remember();
    this.#corrected = null;
    if (this.scrollHeight + this.scrollTop - this.clientHeight < AHEAD) this.#nearTop();
  }

  /** The message at the top of the view is what must not move; the first below it where a day or a button stands there. */
  #remember() {
    const box = this.getBoundingClientRect();
    const at = document.elementFromPoint(box.left + box.width / 2, box.top + 12)?.closest("nexus-message");
    const found = at && this.contains(at) ? at : [...this.log.querySelectorAll("nexus-message")].find((one) => one.getBoundingClientRect().bottom > box.top + 12);
    this.#anchor = found ? { element: found, top: found.getBoundingClientRect().top - box.top } : null;
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
    if (!grown || this.#atEnd) return;
    const anchor = this.#anchor?.element.isConnected ? this.#anchor : null;
    const moved = anchor ? anchor.top - (anchor.element.getBoundingClientRect().top - this.getBoundingClientRect().top) : grown;
    if (Math.abs(moved) <= 0.5) return;
    this.scrollTop -= moved;
    // Positions are whole pixels: taken for the reader's, what is lost in the rounding would add up.
    this.#corrected = this.scrollTop;
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
