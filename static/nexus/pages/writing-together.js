/**
 * A message that several people write before one of them sends it. One's own draft is nobody else's: only who presses
 * "Write together", or joins, writes where all in the conversation can read.
 */
import { diff, moved, SharedDraft } from "../client/draft.js";
import { RemoteCursors } from "../elements/remote-cursors.js";
import { avatar, h, icon } from "../lib/dom.js";
import { drawUnpressed } from "../lib/press.js";

/** How often sending is tried again when others write in the same moment, and how long between, ms. */
const TRIES = 40;
const AGAIN_MS = 75;

export class WritingTogether {
  #key = "";
  #draft = null;
  #sending = false;
  /** Where others are: user id → {start, end}. */
  #places = new Map();
  #told = new Map();

  /**
   * @param {import("./shell.js").Shell} shell
   * @param {HTMLElement} input `nexus-prompt-input`
   */
  constructor(shell, input) {
    Object.assign(this, { shell, input, client: shell.client });
    this.element = h("div.together", { hidden: true });
    document.querySelector(".dock > div > .typing")?.before(this.element);
    this.button = h("button.ib", { type: "button", hidden: true, "aria-label": "Write together", title: "Write this message together with who is here", onclick: () => this.#open() }, icon("users"));
    input.addTool(this.button);
    this.cursors = new RemoteCursors(input.field);
    this.client.addEventListener("frame", ({ detail }) => this.#heard(detail.frame));
    input.addEventListener("prompt-edit", (event) => this.#wrote(event.detail.text));
    input.addEventListener("prompt-select", (event) => this.#draft && this.shell.select(event.detail));
    input.addEventListener("prompt-send", (event) => this.#send(event), { capture: true });
    input.field.addEventListener("compositionstart", () => this.#draft?.hold());
    input.field.addEventListener("compositionend", () => this.#draft?.release());
    input.field.addEventListener("blur", () => this.#draft && this.#drawCursors());
  }

  /** Who writes it with this person: their ids. */
  get writers() {
    return this.#draft ? [...this.#places.keys()] : [];
  }

  draw() {
    this.#listen();
    const { state } = this.client;
    const others = this.#others();
    const may = !this.shell.readonly && this.client.link.isOpen;
    this.button.hidden = !may || Boolean(state.draft) || !others.length;
    const writers = others.filter((user) => this.#places.has(user.userId)).map(({ userId, name }) => ({ userId, name }));
    const line = state.draft ? { mine: Boolean(this.#draft), may, writers, by: state.draft.openedBy } : null;
    const key = JSON.stringify(line);
    if (key !== this.#key) {
      this.#key = key;
      drawUnpressed(this.element, () => {
        this.element.hidden = !line;
        this.element.replaceChildren(...(line ? [this.#line(line)] : []));
      });
    }
    this.#drawCursors();
  }

  // --- the line above the composer -----------------------------------------------------------------------

  #line({ mine, may, writers, by }) {
    const faces = h("span.stack", {}, ...writers.slice(0, 3).map(({ userId, name }) => avatar({ id: userId, name }, "xs")));
    if (mine) {
      const text = writers.length ? `You write this message with ${names(writers)}` : "Everyone here can read and join this message";
      return h("p", {}, writers.length ? faces : icon("users", "s"), h("span.grow", {}, text), this.#button("Leave", () => this.#leave()), this.#button("Discard", () => this.#discard()));
    }
    const who = writers.length ? names(writers) : (by?.name ?? "Somebody");
    const text = writers.length ? `${who} ${writers.length > 1 ? "write" : "writes"} a message here` : `${who} began a message to write together`;
    return h("p", {}, writers.length ? faces : icon("users", "s"), h("span.grow", {}, text), may ? this.#button("Join", () => this.#open()) : null);
  }

  #button(label, act) {
    return h("button.btn.sm.quiet", { type: "button", onclick: act }, label);
  }

  // --- coming and going ----------------------------------------------------------------------------------

  async #open() {
    const { conversationId } = this.client;
    const own = this.client.state.draft ? "" : this.input.value;
    try {
      const { draft } = await this.client.request({ type: "draft.open", conversationId, text: own });
      if (this.#draft) return;
      // What was given away is no draft of one's own any more.
      if (own && draft.text === own) this.input.value = "";
      this.#draft = new SharedDraft(draft, {
        send: ({ version, at, removed, inserted, clientId }) => this.client.request({ type: "draft.edit", conversationId, draftId: draft.id, version, at, removed, inserted, clientId }),
        read: async () => (await this.client.request({ type: "draft.read", conversationId })).draft,
        show: (text, splice) => this.#show(text, splice),
        lost: () => this.#lost(),
      });
      this.input.share(draft.text);
      this.input.focus();
    } catch (error) {
      this.shell.fail("Not opened", error);
    }
    this.draw();
  }

  /** The draft stays for the others; one's own comes back. */
  #leave(text = null) {
    this.#draft?.end();
    this.#draft = null;
    this.shell.select(null);
    this.input.unshare(text);
    this.draw();
  }

  async #discard() {
    const draft = this.#draft;
    try {
      await this.#close(draft, false);
    } catch (error) {
      if (error.code !== "not_found") this.shell.fail("Not discarded", error);
    }
  }

  #lost() {
    const { text } = this.#draft;
    this.#leave(text);
    this.shell.say({ kind: "info", title: "You write alone again", text: "The shared draft is gone. What was written is kept here." });
  }

  /** Enter: whoever ends the draft sends it, and of all that press in one moment only one ends it. */
  async #send(event) {
    if (!this.#draft) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (this.#sending) return;
    const draft = this.#draft;
    this.#sending = true;
    try {
      await this.#close(draft, true);
      this.#leave(draft.text);
      this.input.submit();
    } catch (error) {
      if (error.code !== "not_found") this.shell.fail("Not sent", error); // else another sent it, and that was told
    } finally {
      this.#sending = false;
    }
  }

  /** Ends the draft with all that was written; what others write in this moment is waited for. */
  async #close(draft, sent) {
    for (let tries = 0; ; tries += 1) {
      try {
        if (draft.settled || !sent) return await this.client.request({ type: "draft.close", conversationId: this.client.conversationId, draftId: draft.id, version: draft.version, sent });
      } catch (error) {
        if (error.code !== "draft_moved" || tries >= TRIES) throw error;
      }
      if (tries >= TRIES) throw Object.assign(new Error("Others are still writing. Try again."), { code: "draft_moved" });
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }

  // --- what others do ------------------------------------------------------------------------------------

  #heard(frame) {
    if (frame.type === "draft.changed") {
      this.#draft?.receive(frame);
      if (this.#places.has(frame.userId) && frame.userId !== this.shell.user.id) this.#drawCursors();
    }
    if (frame.type === "draft.closed") this.#closed(frame);
    if (frame.type === "subscribed" && this.#draft) this.#draft.refresh();
  }

  #closed({ draftId, by, sent }) {
    if (this.#draft?.id !== draftId) return;
    const mine = by?.id === this.shell.user.id;
    if (this.#sending && mine && sent) return; // `#send` goes on
    const { text, base } = this.#draft;
    const late = sent ? diff(base.text, text)?.inserted : null;
    this.#leave(late || null);
    if (mine) return;
    const name = by?.name ?? "Somebody";
    if (sent) this.shell.say({ kind: "ok", title: `${name} sent the message` });
    else this.shell.say({ kind: "info", title: `${name} discarded the draft`, action: text ? { label: "Keep a copy", run: () => this.input.restore(text) } : undefined });
  }

  #wrote(text) {
    const splice = this.#draft && diff(this.#draft.text, text);
    if (!splice) return;
    this.#shift(splice);
    this.#draft.write(text);
    this.#drawCursors();
  }

  #show(text, splice) {
    this.#shift(splice);
    this.input.replace(text, (place) => moved(place, splice));
    this.#drawCursors();
  }

  #shift(splice) {
    for (const [userId, { start, end }] of this.#places) this.#places.set(userId, { start: moved(start, splice), end: moved(end, splice) });
  }

  /** Where others say that they are, once each time they say it; between, their places move with the text. */
  #listen() {
    const { state } = this.client;
    for (const user of this.#others()) {
      const told = state.cursors[user.userId] ?? user;
      if (this.#told.get(user.userId) === told) continue;
      this.#told.set(user.userId, told);
      const { selection } = told;
      if (selection && !selection.filePath && state.draft) this.#places.set(user.userId, { start: selection.start, end: selection.end });
      else this.#places.delete(user.userId);
    }
    const here = new Set(this.#others().map((user) => user.userId));
    for (const userId of this.#places.keys()) if (!here.has(userId) || !state.draft) this.#places.delete(userId);
    if (!state.draft) this.#told.clear();
  }

  #others() {
    const { state } = this.client;
    return state.presence.filter((user) => user.kind === "person" && user.userId !== this.shell.user.id && user.conversationId && user.conversationId === state.conversation?.id);
  }

  #drawCursors() {
    const names = new Map(this.#others().map((user) => [user.userId, user.name]));
    const length = this.input.value.length;
    this.cursors.users = this.#draft
      ? [...this.#places].filter(([userId]) => names.has(userId)).map(([userId, { start, end }]) => ({ userId, name: names.get(userId), start: Math.min(start, length), end: Math.min(end, length) }))
      : [];
  }
}

function names(users) {
  const all = users.map((user) => user.name);
  return all.length < 3 ? all.join(" and ") : `${all.slice(0, 2).join(", ")} and ${all.length - 2} more`;
}
