/**
 * Members: every form works by itself; this copies a new link, and keeps the list as it is now. Who comes, goes or gets
 * another role is told by the socket; the list itself is drawn by the server, so it is read from there and laid in.
 */
import { copyText } from "../lib/clipboard.js";
import { drawUnpressed } from "../lib/press.js";

/** Several changes in one moment are read once, ms. */
const PAUSE_MS = 150;
const PARTS = ["#people", "#pending"];

export class MembersPage {
  #timer = null;
  #reading = false;

  constructor(shell) {
    this.shell = shell;
    this.#link(document.querySelector("[data-link]"));
    shell.client.addEventListener("frame", ({ detail }) => detail.frame.type === "members.changed" && this.#changed(detail.frame));
    let opened = false;
    shell.client.link.addEventListener("open", () => {
      if (opened) this.#soon(); // what happened in a break was not told
      opened = true;
    });
  }

  start() {}

  #link(box) {
    if (!box) return;
    const field = box.querySelector("input");
    const button = box.querySelector("[data-copy]");
    button.hidden = false;
    button.addEventListener("click", async () => (await copyText(field.value)) && this.shell.say({ kind: "ok", title: "Link copied" }));
    field.select();
  }

  #changed({ userId, role }) {
    // With another role this page has other parts; without one the socket ends and says so.
    if (userId === this.shell.user.id) return role && role !== this.shell.user.role ? location.reload() : null;
    return this.#soon();
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#read(), PAUSE_MS);
  }

  async #read() {
    if (this.#reading) return this.#soon();
    this.#reading = true;
    try {
      const answer = await fetch(`/members/?${new URLSearchParams({ workspace: this.shell.workspace.slug })}`, { credentials: "same-origin", headers: { Accept: "text/html" } });
      if (!answer.ok || answer.redirected) return null;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      for (const part of PARTS) {
        const [old, fresh] = [document.querySelector(part), page.querySelector(part)];
        if (old && fresh) drawUnpressed(old, () => this.#layIn(old, fresh));
      }
    } catch {
      // offline: the next opening of the link reads it
    } finally {
      this.#reading = false;
    }
    return null;
  }

  /** Rows that are as they were stay, with what is open in them; others take their place. */
  #layIn(old, fresh) {
    const known = new Map([...old.querySelectorAll("li[data-key]")].map((row) => [row.dataset.key, row]));
    const focused = document.activeElement?.closest("li[data-key]")?.dataset.key;
    for (const row of fresh.querySelectorAll("li[data-key]")) {
      const before = known.get(row.dataset.key);
      if (before && same(before, row)) row.replaceWith(before);
    }
    old.replaceChildren(...fresh.childNodes);
    // Laid in again is not opened again: no menu fades in a second time.
    for (const menu of old.querySelectorAll("details[open] .menu")) for (const playing of menu.getAnimations()) playing.finish();
    if (focused && !old.contains(document.activeElement)) old.querySelector(`li[data-key="${CSS.escape(focused)}"] summary`)?.focus({ preventScroll: true });
  }
}

/** Whether two rows say the same; each page has its own token against forged forms, and what is open is the reader's. */
function same(one, other) {
  const plain = (row) => {
    const copy = row.cloneNode(true);
    for (const token of copy.querySelectorAll("[name=csrfmiddlewaretoken]")) token.remove();
    for (const open of copy.querySelectorAll("details[open]")) open.removeAttribute("open");
    return copy.outerHTML.replace(/ style="[^"]*"/g, "");
  };
  return plain(one) === plain(other);
}
