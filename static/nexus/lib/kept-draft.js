/** A text that is not sent yet and outlives the page, by its name; where nothing may be stored it lives as long as the page. */
export class KeptDraft {
  #key;

  /** @param {string} name one per conversation */
  constructor(name) {
    this.#key = `nexus.draft.${name}`;
  }

  /** @returns {string|null} */
  get text() {
    try {
      return localStorage.getItem(this.#key);
    } catch {
      return null; // storage is forbidden: there is no draft
    }
  }

  set text(text) {
    try {
      if (text) localStorage.setItem(this.#key, text);
      else localStorage.removeItem(this.#key);
    } catch {
      // storage is full or switched off
    }
  }
}
