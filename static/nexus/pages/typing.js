/** Who types here right now, in a line above the composer. */
import { avatar, h } from "../lib/dom.js";

/** Somebody who typed this long ago is not typing any more, ms. */
const TYPING_MS = 6000;

export class Typing {
  /**
   * @param {import("./shell.js").Shell} shell
   * @param {import("./writing-together.js").WritingTogether} together
   */
  constructor(shell, together) {
    Object.assign(this, { shell, together });
  }

  draw = () => {
    const holder = document.querySelector("[data-typing]");
    if (!holder) return;
    const { state } = this.shell.client;
    const now = Date.now();
    const names = new Map();
    for (const user of state.presence) if (user.kind === "person" && user.activity === "typing" && user.conversationId === state.conversation?.id) names.set(user.userId, user.name);
    for (const [userId, cursor] of Object.entries(state.cursors)) if (cursor.typing && now - (cursor.at || now) < TYPING_MS) names.set(userId, this.shell.nameOf(userId) || "Somebody");
    names.delete(this.shell.user.id);
    for (const userId of this.together.writers) names.delete(userId); // their cursor says it
    const key = [...names.values()].join(", ");
    if (holder.dataset.key === key) return;
    holder.dataset.key = key;
    const people = [...names];
    holder.replaceChildren(...(people.length ? [...people.slice(0, 3).map(([id, name]) => avatar({ id, name }, "xs")), h("span", {}, typingWords([...names.values()]))] : []));
  };
}

function typingWords(names) {
  if (names.length === 1) return `${names[0]} is typing`;
  if (names.length === 2) return `${names[0]} and ${names[1]} are typing`;
  return `${names.length} people are typing`;
}
