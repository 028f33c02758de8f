/** Keys. Single letters act only while nobody writes and no dialog is open; they can be switched off. */
import { isEditing } from "../lib/dom.js";
import { shortcutSheet } from "./dialogs.js";

export const MOD = /Mac|iPhone|iPad/.test(navigator.platform ?? "") ? "⌘" : "Ctrl";

const GROUPS = [
  ["Everywhere", [[`${MOD} K`, "Search and commands"], ["C", "New conversation"], ["[", "Left panel"], ["]", "Right panel"], ["G U", "Usage"], ["G A", "Agents"], ["G H", "History"], ["?", "All keys"]]],
  ["In a conversation", [["/", "To the composer"], ["J", "Next message"], ["K", "Previous message"], ["R", "Answer again"], ["Y", "Copy the answer"], ["E", "Edit my message"], ["Esc", "Close the menu, else stop the answer"]]],
  ["In the composer", [["Enter", "Send"], ["Shift Enter", "New line"], ["/", "Commands"], ["@", "An agent"]]],
];

export class Shortcuts {
  #actions = new Map();
  #chord = null;

  constructor({ enabled }) {
    this.enabled = enabled;
    document.addEventListener("keydown", (event) => this.#pressed(event));
    this.on("?", () => this.showAll());
  }

  /** @param {string} key a letter, or a chord like `g u` @param {() => void} action */
  on(key, action) {
    this.#actions.set(key, action);
  }

  showAll() {
    shortcutSheet(GROUPS);
  }

  #pressed(event) {
    if (event.defaultPrevented || event.isComposing) return;
    if ((event.metaKey || event.ctrlKey) && !event.altKey && !event.shiftKey && event.key.toLowerCase() === "k") {
      event.preventDefault();
      this.#actions.get("mod k")?.();
      return;
    }
    if (event.key === "Escape") {
      if (!document.querySelector("dialog[open]")) this.#actions.get("escape")?.(event);
      return;
    }
    if (!this.enabled || event.metaKey || event.ctrlKey || event.altKey || isEditing(event.target) || document.querySelector("dialog[open]")) return;
    const key = event.key.toLowerCase();
    const chord = this.#chord && Date.now() - this.#chord.at < 1200 ? `${this.#chord.key} ${key}` : null;
    this.#chord = null;
    const action = (chord && this.#actions.get(chord)) ?? this.#actions.get(key);
    if (action) {
      event.preventDefault();
      action();
    } else if (key === "g") this.#chord = { key, at: Date.now() };
  }
}
