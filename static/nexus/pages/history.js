/** History: archive and delete in the list, each with a way back. */
import { api } from "../lib/api.js";
import { offerUndo } from "./conversation-menu.js";

export class HistoryPage {
  constructor(shell) {
    this.shell = shell;
    document.getElementById("main").addEventListener("click", (event) => {
      const button = event.target.closest("[data-action]");
      const row = button?.closest("li[data-conversation]");
      if (row) this.#act(button.dataset, row);
    });
  }

  start() {}

  async #act({ action, status }, row) {
    const id = row.dataset.conversation;
    const title = row.querySelector("b").textContent;
    try {
      if (action === "delete") {
        await api("DELETE", `/api/conversations/${id}`);
        this.shell.nav.remove(id);
        offerUndo(this.shell, { id, title });
      } else {
        const conversation = await api("PATCH", `/api/conversations/${id}`, { status });
        this.shell.nav.update(conversation, true);
        const undo = status === "archived" ? "active" : "archived";
        this.shell.say({ kind: "ok", title: status === "archived" ? "Archived" : "Back in the list", text: title, action: { label: "Undo", run: () => this.#undo(id, undo) } });
      }
    } catch (error) {
      this.shell.fail(action === "delete" ? "Not deleted" : "Not changed", error);
      return;
    }
    const next = row.nextElementSibling ?? row.previousElementSibling;
    const list = row.parentElement;
    row.remove();
    (next?.querySelector("a") ?? document.getElementById("main")).focus();
    if (!list.childElementCount) {
      list.previousElementSibling?.remove();
      list.remove();
    }
  }

  async #undo(id, status) {
    try {
      await api("PATCH", `/api/conversations/${id}`, { status });
      location.reload();
    } catch (error) {
      this.shell.fail("Not taken back", error);
    }
  }
}
