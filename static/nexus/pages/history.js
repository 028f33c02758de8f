/** History: archive, delete, mark as read, one or many at once, each with a way back. */
import { api } from "../lib/api.js";
import { h, stateMark } from "../lib/dom.js";
import { importButton } from "./import-dialog.js";
import { mark } from "./nav.js";
import { Selection } from "./selection.js";

const DONE = { archive: "Archived", restore: "Back in the list", delete: "Deleted", read: "Marked as read" };
const FAILED = { archive: "Not archived", restore: "Not taken out", delete: "Not deleted", read: "Not marked" };

export class HistoryPage {
  constructor(shell) {
    this.shell = shell;
    this.main = document.getElementById("main");
    this.archived = new URLSearchParams(location.search).get("status") === "archived";
    this.bar = this.main.querySelector("[data-picked]");
    importButton(shell, this.main);
    this.main.addEventListener("click", (event) => {
      const one = event.target.closest("[data-action]");
      const row = one?.closest("li[data-conversation]");
      if (row) this.#act(one.dataset.action === "delete" ? "delete" : one.dataset.status === "archived" ? "archive" : "restore", [row]);
      const many = event.target.closest("[data-bulk]")?.dataset.bulk;
      if (many === "none") this.selection.clear();
      else if (many) this.#act(many, this.selection.rows);
    });
    if (!this.bar) return; // a search shows messages, not conversations
    this.selection = new Selection(this.main, this.bar.querySelector("[data-all]"), () => this.#picked());
    this.main.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && this.selection.rows.length) this.selection.clear();
    });
    shell.nav.addEventListener("change", () => this.#marks());
  }

  start() {}

  #picked() {
    const count = this.main.querySelectorAll("[data-select]:checked").length;
    this.bar.hidden = !count;
    this.bar.querySelector("[data-picked-count]").textContent = count ? `${count} selected` : "";
  }

  async #act(action, rows) {
    if (!rows.length) return;
    const ids = rows.map((row) => row.dataset.conversation);
    let done;
    try {
      done = await this.#ask(action, ids);
    } catch (error) {
      this.shell.fail(FAILED[action], error);
      return;
    }
    const gone = rows.filter((row) => done.includes(row.dataset.conversation));
    if (action === "read") {
      for (const id of done) this.shell.nav.read({ conversationId: id, unread: 0 });
      this.selection.clear();
    } else {
      for (const id of done) if (action !== "restore") this.shell.nav.remove(id);
      this.#take(gone);
    }
    if (done.length) this.#say(action, done, gone);
  }

  /** @returns {Promise<string[]>} ids that were changed; of the others the person is told */
  async #ask(action, ids) {
    const { items } = await api("POST", "/api/conversations/bulk", { ids, action });
    const refused = items.filter((item) => item.status !== 200);
    if (refused.length) {
      const title = refused.length === items.length ? FAILED[action] : `${FAILED[action]}: ${refused.length} of ${items.length}`;
      this.shell.say({ kind: "bad", title, text: refused[0].error.message });
    }
    return items.filter((item) => item.status === 200).map((item) => item.id);
  }

  #say(action, ids, rows) {
    const text = rows.length === 1 ? rows[0].querySelector("b").textContent : `${ids.length} conversations`;
    const back = { archive: "restore", restore: "archive", delete: "restore" }[action];
    this.shell.say({ kind: "ok", title: DONE[action], text, action: back ? { label: "Undo", run: () => this.#undo(back, ids) } : null });
  }

  async #undo(action, ids) {
    try {
      await this.#ask(action, ids);
      location.reload();
    } catch (error) {
      this.shell.fail("Not taken back", error);
    }
  }

  /** Takes rows out of the page; the focus goes to what stands there now. */
  #take(rows) {
    const held = rows.some((row) => row.contains(document.activeElement)) || this.bar.contains(document.activeElement);
    const all = [...this.main.querySelectorAll("li[data-conversation]")];
    const next = all.slice(all.indexOf(rows[0])).find((row) => !rows.includes(row)) ?? all.findLast((row) => !rows.includes(row));
    for (const row of rows) {
      const list = row.parentElement;
      row.remove();
      if (list.childElementCount) continue;
      list.previousElementSibling?.remove();
      list.remove();
    }
    this.selection.clear();
    if (held) (next?.querySelector("a") ?? this.main).focus();
    if (!next) this.bar.after(h("div.empty", {}, h("p", {}, this.archived ? "Nothing is archived." : "Nothing is left on this page.")));
  }

  /** Titles, and what is running or unread, change while the page is open. */
  #marks() {
    for (const row of this.main.querySelectorAll("li[data-conversation]")) {
      const known = this.shell.nav.of(row.dataset.conversation);
      if (!known) continue;
      this.#name(row, known.title);
      const key = JSON.stringify([known.live, known.unread, known.lastStatus]);
      if (row.dataset.mark === key) continue;
      row.dataset.mark = key;
      row.classList.toggle("unread", Boolean(known.unread));
      const title = row.querySelector(".row > .grow");
      while (!title.nextElementSibling.matches(".mut")) title.nextElementSibling.remove();
      const failed = !known.live && !known.unread && known.lastStatus === "failed";
      title.after(...(failed ? [stateMark("bad", "circle-x", "Failed")] : mark({ ...known, pinned: false })));
    }
  }

  #name(row, title) {
    const shown = row.querySelector("b");
    if (shown.textContent === title) return;
    shown.textContent = title;
    for (const one of row.querySelectorAll("[aria-label]")) one.ariaLabel = `${one.ariaLabel.split(": ", 1)[0]}: ${title}`;
  }
}
