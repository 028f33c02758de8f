/** The list of conversations on the left, kept current: a new one appears, a live one carries a dot. */
import { h, icon, setChildren } from "../lib/dom.js";

const DAY = 86_400_000;

export class ConversationList {
  #items = new Map();
  #rows = new Map();

  /**
   * @param {HTMLElement} element
   * @param {object[]} conversations as on the wire, with `pinned` of this person
   * @param {string|null} current id of the open one
   */
  constructor(element, conversations, current) {
    this.element = element;
    this.current = current;
    for (const conversation of conversations) this.#items.set(conversation.id, conversation);
  }

  get all() {
    return [...this.#items.values()].sort((a, b) => (a.lastActiveAt < b.lastActiveAt ? 1 : -1));
  }

  /**
   * What the server told everybody. Whether it is pinned is each person's own and not in there.
   * @param {object} conversation
   * @param {boolean} [own] an answer to this person's own request: then `pinned` counts
   */
  update(conversation, own = false) {
    const known = this.#items.get(conversation.id);
    const { pinned, ...told } = conversation;
    if (conversation.deleted || conversation.status === "deleted") return this.remove(conversation.id);
    const next = { ...known, ...told, pinned: own ? pinned : (known?.pinned ?? false) };
    const ended = known?.live && !next.live;
    if (ended && conversation.id !== this.current) next.unread = true;
    if (conversation.status === "archived") this.#items.delete(conversation.id);
    else this.#items.set(conversation.id, next);
    this.draw();
  }

  remove(id) {
    if (!this.#items.delete(id)) return;
    this.draw();
  }

  draw() {
    if (!this.element) return;
    const groups = new Map();
    for (const conversation of this.all) {
      const name = groupOf(conversation, Date.now());
      groups.set(name, [...(groups.get(name) ?? []), conversation]);
    }
    const children = [];
    const pinned = groups.get("Pinned");
    if (pinned) children.push(h("div.grp", {}, "Pinned"), ...pinned.map((one) => this.#row(one)));
    for (const [name, list] of groups) if (name !== "Pinned") children.push(h("div.grp", {}, name), ...list.map((one) => this.#row(one)));
    if (!children.length) children.push(h("div.grp", {}, "Conversations"), h("p.none", {}, "None yet. The first one you start appears here."));
    setChildren(this.element, children);
  }

  #row(conversation) {
    const key = JSON.stringify([conversation.title, conversation.live, conversation.pinned, conversation.unread, conversation.lastStatus, this.current === conversation.id]);
    const known = this.#rows.get(conversation.id);
    if (known?.key === key) return known.element;
    const element = known?.element ?? h("a.cv", { href: `/c/${conversation.id}/`, data: { conversation: conversation.id } });
    if (this.current === conversation.id) element.setAttribute("aria-current", "page");
    element.classList.toggle("unread", Boolean(conversation.unread));
    element.replaceChildren(h("span.cut.grow", {}, conversation.title || "New conversation"), ...mark(conversation));
    this.#rows.set(conversation.id, { key, element });
    return element;
  }
}

/** At most one mark per row, and always with a word for those who do not see it. */
function mark({ live, lastStatus, unread, pinned }) {
  if (live === "waiting") return [h("span.st.warn", {}, icon("shield-alert", "s")), h("span.sr", {}, "waits for approval")];
  if (live) return [h("span.pulse"), h("span.sr", {}, "an agent is answering")];
  if (unread) return [h("span.fresh"), h("span.sr", {}, "new answer")];
  if (lastStatus === "failed") return [h("span.st.bad", {}, icon("circle-x", "s")), h("span.sr", {}, "last run failed")];
  return pinned ? [icon("pin", "s"), h("span.sr", {}, "pinned")] : [];
}

/** Pinned, Today, Yesterday, Previous 7 days, then months. */
export function groupOf(conversation, now) {
  if (conversation.pinned) return "Pinned";
  const at = new Date(conversation.lastActiveAt);
  const today = new Date(now);
  today.setHours(0, 0, 0, 0);
  if (at >= today) return "Today";
  if (at >= new Date(today.getTime() - DAY)) return "Yesterday";
  if (at >= new Date(today.getTime() - 7 * DAY)) return "Previous 7 days";
  const sameYear = at.getFullYear() === today.getFullYear();
  return at.toLocaleDateString("en-GB", sameYear ? { month: "long" } : { month: "long", year: "numeric" });
}
