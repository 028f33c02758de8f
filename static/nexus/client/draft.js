/**
 * A draft that several people write together, without a page: what the server has (`base`, the same for all at one
 * version), what this person sees (`text`), and the one edit that is on its way.
 *
 * The server takes one edit for each version and refuses the others. Whoever was refused lays what they wrote over what
 * came before and asks again: `rebase` is the only place where two people's words meet, and nobody's are lost there.
 * Places are UTF-16 units, as JavaScript and the text field count.
 */

/** An edit of a version that never came is asked for anew after so long, ms. */
const GAP_MS = 1_500;
/** Keys that are pressed faster go together in one edit, ms. */
const PACE_MS = 80;

/**
 * The one splice that makes `after` of `before`; null where they are alike. Never in the middle of a character.
 * @returns {{at: number, removed: number, inserted: string}|null}
 */
export function diff(before, after) {
  if (before === after) return null;
  const most = Math.min(before.length, after.length);
  let start = 0;
  while (start < most && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < most - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  if (start && isHigh(before[start - 1])) start -= 1;
  if (end && isLow(before[before.length - end])) end -= 1;
  return { at: start, removed: before.length - end - start, inserted: after.slice(start, after.length - end) };
}

const isHigh = (unit) => unit >= "\uD800" && unit <= "\uDBFF";
const isLow = (unit) => unit >= "\uDC00" && unit <= "\uDFFF";

/** @returns {string} the text after the splice */
export function apply(text, { at, removed, inserted }) {
  return text.slice(0, at) + inserted + text.slice(at + removed);
}

/**
 * `mine` and `theirs` were made on the same text; theirs was taken. What mine is on the text after theirs: all that both
 * took out is gone, all that both put in is there.
 */
export function rebase(mine, theirs) {
  const end = mine.at + mine.removed;
  const theirEnd = theirs.at + theirs.removed;
  const grown = theirs.inserted.length - theirs.removed;
  if (theirEnd <= mine.at) return { ...mine, at: mine.at + grown };
  if (theirs.at >= end) return mine;
  if (theirs.at <= mine.at) return { at: theirs.at + theirs.inserted.length, removed: Math.max(0, end - theirEnd), inserted: mine.inserted };
  if (theirEnd >= end) return { at: mine.at, removed: theirs.at - mine.at, inserted: mine.inserted };
  // Theirs is inside of what I replaced: it stays, behind mine.
  return { at: mine.at, removed: mine.removed + grown, inserted: mine.inserted + theirs.inserted };
}

/** Where a place in the text is after the splice. */
export function moved(place, { at, removed, inserted }) {
  if (place <= at) return place;
  return place >= at + removed ? place + inserted.length - removed : at + inserted.length;
}

export class SharedDraft {
  #sent = null;
  #count = 0;
  #later = new Map();
  #gap = null;
  #held = null;
  #name = Math.random().toString(36).slice(2);
  #pacing = null;
  #sentAt = -Infinity;

  /**
   * @param {{id: string, text: string, version: number}} draft as the server told it
   * @param {object} hands
   * @param {(edit: object) => Promise<any>} hands.send asks the server to take an edit
   * @param {() => Promise<object>} hands.read asks the server for the draft as it is
   * @param {(text: string, splice: object) => void} hands.show others changed the text: the new one, and what changed
   * @param {(code: string) => void} [hands.lost] it cannot go on: the draft is gone, or may not be written any more
   * @param {number} [hands.pace] ms between edits
   */
  constructor(draft, { send, read, show, lost = () => {}, pace = PACE_MS }) {
    Object.assign(this, { id: draft.id, send, read, show, lost, pace, ended: false });
    this.base = { text: draft.text, version: draft.version };
    this.text = draft.text;
  }

  /** True when the server has all that was written here. */
  get settled() {
    return !this.#sent && this.text === this.base.text;
  }

  get version() {
    return this.base.version;
  }

  /** This person's text is now this. */
  write(text) {
    this.text = text;
    this.#pump();
  }

  /** While a word is being composed (IME) nothing is changed under it. */
  hold() {
    this.#held ??= [];
  }

  release() {
    const held = this.#held ?? [];
    this.#held = null;
    for (const frame of held) this.receive(frame);
  }

  /** A `draft.changed` of the server, in any order. */
  receive(frame) {
    if (this.ended || frame.draftId !== this.id || frame.version <= this.base.version) return;
    if (this.#held) return void this.#held.push(frame);
    this.#later.set(frame.version, frame);
    for (let next = this.#later.get(this.base.version + 1); next; next = this.#later.get(this.base.version + 1)) {
      this.#later.delete(next.version);
      this.#take(next);
    }
    if (this.#later.size) this.#missing();
    else this.#whole();
    this.#pump();
  }

  /** Reads the draft anew: after a break, or where an edit never came. */
  async refresh() {
    this.#whole();
    try {
      const draft = await this.read();
      if (this.ended) return;
      if (!draft || draft.id !== this.id) return this.#end("not_found");
      if (draft.version > this.base.version) {
        this.#over(diff(this.base.text, draft.text), draft.text, draft.version);
        for (const version of this.#later.keys()) if (version <= draft.version) this.#later.delete(version);
      }
      this.#sent = null;
      this.#pump();
    } catch (error) {
      if (error.code === "not_found" || error.code === "forbidden") this.#end(error.code);
    }
  }

  end() {
    this.ended = true;
    clearTimeout(this.#pacing);
    this.#whole();
  }

  #end(code) {
    this.end();
    this.lost(code);
  }

  #missing() {
    this.#gap ??= setTimeout(() => this.refresh(), GAP_MS);
  }

  #whole() {
    clearTimeout(this.#gap);
    this.#gap = null;
  }

  #take({ version, at, removed, inserted, clientId }) {
    if (this.#sent && clientId === this.#sent.clientId) {
      this.base = { text: apply(this.base.text, this.#sent), version };
      this.#sent = null;
      return;
    }
    const theirs = { at, removed, inserted };
    this.#over(theirs, apply(this.base.text, theirs), version);
  }

  /** Theirs was taken: what is here and not taken yet is laid over it. */
  #over(theirs, text, version) {
    const mine = diff(this.base.text, this.text);
    const before = this.text;
    this.base = { text, version };
    this.text = mine && theirs ? apply(text, rebase(mine, theirs)) : mine ? this.text : text;
    const seen = diff(before, this.text);
    if (seen) this.show(this.text, seen);
  }

  async #pump() {
    if (this.#sent || this.ended || this.#later.size) return;
    const edit = diff(this.base.text, this.text);
    if (!edit) return;
    const wait = this.pace - (Date.now() - this.#sentAt);
    if (wait > 0) {
      this.#pacing ??= setTimeout(() => {
        this.#pacing = null;
        this.#pump();
      }, wait);
      return;
    }
    this.#sentAt = Date.now();
    const sent = { ...edit, version: this.base.version, clientId: `${this.#name}.${++this.#count}` };
    this.#sent = sent;
    try {
      await this.send(sent);
      if (this.#sent === sent && !this.ended) this.#missing(); // taken, but nobody told it yet
    } catch (error) {
      if (this.#sent !== sent) return;
      if (error.code === "not_found" || error.code === "forbidden") return this.#end(error.code);
      if (error.code === "offline" || error.code === "lost" || error.code === "timeout") return; // `refresh` follows
      this.#sent = null;
      // Refused: somebody was first, and what they did is on its way, or here already.
      if (this.base.version > sent.version) this.#pump();
      else if (error.code === "draft_moved") this.#missing();
      else this.#end(error.code);
    }
  }
}
