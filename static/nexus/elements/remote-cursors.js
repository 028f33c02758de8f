/**
 * Where others are in a text field: a line at their cursor with their name, their selection as a tint. Drawn over the
 * field, by a copy of its text that nobody sees; a field itself cannot say where a letter stands.
 */
import { h, personColour } from "../lib/dom.js";

/** A name stays this long after its cursor moved, ms; then the line stands alone. */
const NAME_MS = 3_000;

export class RemoteCursors {
  #users = [];
  #named = new Map();
  #timer = null;

  /** @param {HTMLTextAreaElement} field */
  constructor(field) {
    this.field = field;
    this.mirror = h("div.mirror");
    this.marks = h("div.marks");
    this.element = h("div.carets", { "aria-hidden": "true", hidden: true }, this.mirror, this.marks);
    field.after(this.element);
    field.addEventListener("scroll", () => this.draw(), { passive: true });
    this.observer = new ResizeObserver(() => this.draw());
    this.observer.observe(field);
  }

  /** @param {{userId: string, name: string, start: number, end: number}[]} users */
  set users(users) {
    const now = Date.now();
    for (const user of users) {
      const known = this.#named.get(user.userId);
      if (known?.start !== user.start || known?.end !== user.end) this.#named.set(user.userId, { start: user.start, end: user.end, at: now });
    }
    for (const userId of this.#named.keys()) if (!users.some((user) => user.userId === userId)) this.#named.delete(userId);
    this.#users = users;
    this.draw();
    clearTimeout(this.#timer);
    if (users.length) this.#timer = setTimeout(() => this.draw(), NAME_MS + 50);
  }

  draw() {
    this.element.hidden = !this.#users.length;
    if (this.element.hidden) return;
    const { field } = this;
    for (const [name, value] of Object.entries({ left: field.offsetLeft, top: field.offsetTop, width: field.clientWidth, height: field.clientHeight })) this.element.style.setProperty(name, `${value}px`);
    const places = this.#layOut(field.value);
    const origin = this.element.getBoundingClientRect();
    const now = Date.now();
    this.marks.replaceChildren(
      ...this.#users.flatMap((user) => {
        const [start, end] = [places.get(user.start), places.get(user.end)];
        const colour = personColour(user.userId);
        const tints = user.start === user.end ? [] : rectsBetween(start, end).map((box) => this.#at(h(`i.tint.${colour}`), box.left - origin.left, box.top - origin.top, box));
        const caret = end.getBoundingClientRect();
        const top = caret.top - origin.top - field.scrollTop;
        if (top < -2 || top > field.clientHeight - 4) return [];
        const named = now - (this.#named.get(user.userId)?.at ?? 0) < NAME_MS;
        const mark = h(`i.caret.${colour}`, {}, h(`b${named ? "" : ".short"}`, {}, named ? user.name : ""));
        return [...tints.filter(Boolean), this.#at(mark, caret.left - origin.left, top + field.scrollTop, { height: caret.height || 22 })];
      }),
    );
  }

  #at(mark, left, top, { width, height }) {
    const y = top - this.field.scrollTop;
    if (y < -height || y > this.field.clientHeight) return null;
    mark.style.setProperty("left", `${left}px`);
    mark.style.setProperty("top", `${y}px`);
    mark.style.setProperty("height", `${height}px`);
    if (width !== undefined) mark.style.setProperty("width", `${width}px`);
    return mark;
  }

  /** The text with an empty element at each place that is asked for. */
  #layOut(text) {
    const places = new Map();
    for (const { start, end } of this.#users) {
      places.set(start, null);
      places.set(end, null);
    }
    const nodes = [];
    let from = 0;
    for (const place of [...places.keys()].sort((a, b) => a - b)) {
      const at = Math.min(place, text.length);
      if (at > from) nodes.push(text.slice(from, at));
      const pin = h("span");
      places.set(place, pin);
      nodes.push(pin);
      from = Math.max(from, at);
    }
    // A last line that is empty has its height in a field, but not in an element.
    nodes.push(`${text.slice(from)}\u200b`);
    this.mirror.replaceChildren(...nodes);
    return places;
  }
}

function rectsBetween(start, end) {
  const range = document.createRange();
  range.setStartAfter(start);
  range.setEndBefore(end);
  return [...range.getClientRects()].filter((box) => box.width > 0);
}
