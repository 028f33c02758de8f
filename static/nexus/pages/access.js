/** What this person may do in a conversation changes while they look: it appears, it closes, the composer opens or shuts. */

const CLOSED = "nexus.closed";

export class Access {
  constructor(shell) {
    this.shell = shell;
    this.#closedBefore();
    shell.client.addEventListener("frame", ({ detail: { frame } }) => frame.type === "conversation.access" && this.#changed(frame));
  }

  #changed({ conversationId, right, title, by }) {
    const { client, nav } = this.shell;
    const here = client.conversationId === conversationId;
    if (right === null) {
      const gone = nav.of(conversationId)?.title ?? client.state.conversation?.title ?? "";
      nav.remove(conversationId);
      document.querySelector(`main li[data-conversation="${CSS.escape(conversationId)}"]`)?.remove();
      if (!here) return;
      // Nothing of it stays on the screen or in memory.
      sessionStorage.setItem(CLOSED, gone);
      location.replace("/");
      return;
    }
    if (here) {
      const mayWrite = right === "write";
      client.dispatch({ type: "conversation.updated", conversation: { id: conversationId, mayWrite } });
      composerOpen(document.querySelector("nexus-prompt-input"), mayWrite);
    } else if (by) {
      this.shell.say({ kind: "ok", title: `${by} shared a conversation with you`, text: title ?? "", action: { label: "Open", run: () => location.assign(`/c/${conversationId}/`) } });
    }
  }

  #closedBefore() {
    const gone = sessionStorage.getItem(CLOSED);
    if (gone === null) return;
    sessionStorage.removeItem(CLOSED);
    this.shell.say({ kind: "info", title: "Not open to you any more", text: gone });
  }
}

/** @param {HTMLElement|null} input `nexus-prompt-input` */
export function composerOpen(input, mayWrite) {
  if (!input) return;
  input.dataset.words ??= input.field.placeholder;
  input.readonly = !mayWrite;
  input.field.placeholder = mayWrite ? input.dataset.words : "This conversation is shared with you to read.";
}
