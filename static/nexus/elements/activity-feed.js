/**
 * `<nexus-activity-feed>`: who did what, newest first. The same kind by the same person within five minutes is one line.
 * Properties: `items`: activities with `who` {id, name, kind, icon} and `text` already in words; `more`: whether there are
 * earlier ones. Event: `feed-earlier`.
 */
import { avatar, emit, h } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { drawUnpressed } from "../lib/press.js";

const SAME_MS = 5 * 60_000;
/** As many lines at first, and more each time that earlier ones are asked for. */
const MOST = 12;

export class NexusActivityFeed extends HTMLElement {
  #key = "";
  #most = MOST;
  #items = [];
  #more = false;

  set more(more) {
    if (more === this.#more) return;
    this.#more = more;
    this.#key = "";
    this.items = this.#items;
  }

  /** @param {{id: string, kind: string, who: object, text: string, createdAt: string, href?: string}[]} items */
  set items(items) {
    this.#items = items;
    const all = merged(items);
    const lines = all.slice(0, this.#most);
    const earlier = this.#more || all.length > lines.length;
    const key = lines.map((line) => `${line.id}${line.times}${line.text}${line.who.name}`).join("|") + earlier;
    if (key === this.#key && this.childElementCount) return;
    this.#key = key;
    if (!lines.length) {
      this.replaceChildren(h("p.mut", {}, "Nothing yet. What people and agents do appears here."));
      return;
    }
    drawUnpressed(this, () => this.#draw(lines, earlier));
  }

  #draw(lines, earlier) {
    const focused = this.querySelector(".back") === document.activeElement && this.childElementCount > 0;
    this.replaceChildren(
      ...lines.map((line) => {
        const words = h("span", {}, h("b", {}, line.who.name), ` ${line.text}`, line.times > 1 ? h("span.mut", {}, ` ${line.times} times`) : null);
        return h("div.fd", {}, avatar(line.who, "sm"), line.href ? h("a", { href: line.href }, ...words.childNodes) : words, h("time", { datetime: line.createdAt }, clock(line.createdAt)));
      }),
      ...(earlier ? [h("button.btn.sm.quiet.back", { type: "button", onclick: () => this.#earlier() }, "Earlier")] : []),
    );
    if (focused) this.querySelector(".back")?.focus({ preventScroll: true });
  }

  #earlier() {
    this.#most += MOST;
    this.items = this.#items;
    if (this.#more && merged(this.#items).length <= this.#most) emit(this, "feed-earlier");
  }
}

const COMING = new Set(["user-joined", "user-left"]);

/**
 * Neighbours of one kind by one person, at most five minutes apart, as one line with a count. Of coming and going only
 * the last is told: who is here stands above.
 */
export function merged(items) {
  const lines = [];
  for (const item of items) {
    const last = lines.at(-1);
    const near = last && last.who.id === item.who.id && Date.parse(last.oldest) - Date.parse(item.createdAt) < SAME_MS;
    const coming = near && COMING.has(last.kind) && COMING.has(item.kind);
    if (near && (coming || (last.kind === item.kind && last.text === item.text))) {
      last.times += coming ? 0 : 1;
      last.oldest = item.createdAt;
    } else lines.push({ ...item, times: 1, oldest: item.createdAt });
  }
  return lines;
}

customElements.define("nexus-activity-feed", NexusActivityFeed);
