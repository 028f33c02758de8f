/** What can be done with a conversation as a whole: rename, pin, archive, export, delete. */
import { api } from "../lib/api.js";
import { h } from "../lib/dom.js";
import { setTitle } from "./title.js";

export class ConversationMenu {
  constructor(shell, page) {
    this.shell = shell;
    this.page = page;
    this.title = document.querySelector("[data-title]");
    this.element = document.querySelector("[data-conversation-menu]");
    this.element?.addEventListener("click", (event) => {
      const action = event.target.closest("[data-action]")?.dataset.action;
      if (action) this.act(action);
    });
    this.title?.addEventListener("click", () => this.act("rename"));
    this.title?.addEventListener("keydown", (event) => event.key === "Enter" && this.act("rename"));
  }

  get conversation() {
    return this.shell.client.state.conversation;
  }

  get path() {
    return `/api/conversations/${this.conversation.id}`;
  }

  draw(conversation) {
    if (!conversation) return;
    const title = conversation.title || "New conversation";
    if (this.title && !this.title.querySelector("input") && this.title.textContent !== title) this.title.textContent = title;
    setTitle(`${title} · Nexus`);
    this.#label("pin", conversation.pinned ? "Unpin" : "Pin");
    this.#label("archive", conversation.status === "archived" ? "Take out of the archive" : "Archive");
  }

  #label(action, text) {
    const label = this.element?.querySelector(`[data-action="${action}"] .grow`);
    if (label && label.textContent !== text) label.textContent = text;
  }

  act(action) {
    const { conversation } = this;
    switch (action) {
      case "rename":
        return this.#rename();
      case "pin":
        return this.change({ pinned: !conversation.pinned }, "Not pinned");
      case "keep":
        return this.#keep();
      case "archive":
        return this.#archive(conversation.status !== "archived");
      case "delete":
        return this.#delete();
      case "export":
        return location.assign(`${this.path}/export?format=md`);
      default:
        return null;
    }
  }

  /** @returns {Promise<boolean>} */
  async change(fields, failure) {
    try {
      const conversation = await api("PATCH", this.path, fields);
      this.shell.client.dispatch({ type: "conversation.updated", conversation });
      this.shell.nav.update(conversation, true);
      return true;
    } catch (error) {
      this.shell.fail(failure, error);
      return false;
    }
  }

  /** The title becomes a field in its own place. */
  #rename() {
    if (!this.title || this.title.querySelector("input") || this.shell.readonly) return;
    const before = this.conversation.title;
    const field = h("input.rename", { value: before, maxlength: "200", "aria-label": "Title of the conversation" });
    let over = false;
    const end = async (save) => {
      if (over) return;
      over = true;
      const title = field.value.trim();
      this.title.textContent = save && title ? title : before;
      if (save && title && title !== before && !(await this.change({ title }, "Not renamed"))) this.title.textContent = before;
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && !event.isComposing) end(true);
      if (event.key === "Escape") end(false);
    });
    field.addEventListener("blur", () => end(true));
    field.addEventListener("click", (event) => event.stopPropagation());
    this.title.replaceChildren(field);
    field.focus();
    field.select();
  }

  /** A temporary chat becomes one of this person's own, in their list. */
  async #keep() {
    if (!(await this.change({ temporary: false }, "Not kept"))) return;
    document.querySelector("[data-temporary-chip]")?.remove();
    this.element.querySelector('[data-action="keep"]')?.remove();
    this.shell.say({ kind: "ok", title: "Kept", text: "It is in your list now, and only yours until you share it." });
  }

  async #archive(archive) {
    if (!(await this.change({ status: archive ? "archived" : "active" }, archive ? "Not archived" : "Not taken out of the archive"))) return;
    this.shell.say({ kind: "ok", title: archive ? "Archived" : "Back in the list", text: archive ? "It stays in the history." : "", action: { label: "Undo", run: () => this.#archive(!archive) } });
  }

  async #delete() {
    const { conversation, path } = this;
    try {
      await api("DELETE", path);
    } catch (error) {
      this.shell.fail("Not deleted", error);
      return;
    }
    // The page that follows offers to take it back.
    sessionStorage.setItem("nexus.deleted", JSON.stringify({ id: conversation.id, title: conversation.title, at: Date.now() }));
    location.assign("/");
  }
}

/** After a deletion: one chance to take it back. */
export function offerRestore(shell) {
  const stored = sessionStorage.getItem("nexus.deleted");
  sessionStorage.removeItem("nexus.deleted");
  const deleted = stored ? JSON.parse(stored) : null;
  if (!deleted || Date.now() - deleted.at > 15_000) return;
  offerUndo(shell, deleted);
}

export function offerUndo(shell, { id, title }) {
  shell.say({
    kind: "ok",
    title: "Deleted",
    text: title,
    action: {
      label: "Undo",
      run: () =>
        api("POST", `/api/conversations/${id}/restore`).then(
          () => location.assign(`/c/${id}/`),
          (error) => shell.fail("Not restored", error),
        ),
    },
  });
}
