/**
 * The list of conversations on the left, kept current: a new one appears, a live one carries a dot, what is unread a
 * number. How much is unread is each person's own, so it is not in what everybody is told: the list asks for it.
 * Event `change`: something in it changed.
 */
import { api } from "../lib/api.js";
import { h, icon, setChildren } from "../lib/dom.js";
import { drawUnpressed } from "../lib/press.js";
import { schedule } from "../lib/schedule.js";

const DAY = 86_400_000;
const LENGTH = 60;
/** News of one moment are asked for together, ms. */
const GATHER_MS = 300;

export class ConversationList extends EventTarget {
  #items = new Map();
  #rows = new Map();
  #asking = new Map();
  /** Ids of which something was told while the whole list was on its way: it may be older than that. */
  #told = null;

  /**
   * @param {HTMLElement} element
   * @param {object[]} conversations as on the wire, with `pinned` of this person
   * @param {{current?: string|null, me: string, workspace: string}} page the open one's id, the person's id, a slug
   */
  constructor(element, conversations, { current = null, me, workspace }) {
    super();
    Object.assign(this, { element, current, me, workspace });
    for (const conversation of conversations) this.#items.set(conversation.id, conversation);
    // The server's rows are taken over: a link that has the focus is still the same one after the first news.
    for (const row of element?.querySelectorAll("[data-conversation]") ?? []) this.#rows.set(row.dataset.conversation, { key: "", element: row });
  }

  get all() {
    return [...this.#items.values()].sort((a, b) => (a.lastActiveAt < b.lastActiveAt ? 1 : -1));
  }

  of(id) {
    return this.#items.get(id) ?? null;
  }

  /** How many have something unread. */
  get news() {
    return this.all.filter((one) => one.unread > 0).length;
  }

  /** This person read it, here or on another device. */
  read({ conversationId, unread, lastReadAt }) {
    this.#told?.add(conversationId);
    const known = this.#items.get(conversationId);
    if (!known || (known.unread === unread && known.lastReadAt)) return;
    this.#items.set(conversationId, { ...known, unread, lastReadAt: lastReadAt ?? known.lastReadAt ?? new Date().toISOString() });
    this.#changed();
  }

  /**
   * The whole list anew: where nobody told this page anything for a while, nobody knows what was missed.
   * @returns {Promise<void>} rejects with `ApiError`
   */
  async refresh() {
    const told = (this.#told = new Set());
    let items;
    try {
      ({ items } = await api("GET", this.#path("", { status: "active", limit: LENGTH })));
      if (told !== this.#told) return; // asked again meanwhile
    } finally {
      if (told === this.#told) this.#told = null;
    }
    const before = JSON.stringify(this.all);
    const next = new Map(items.filter((one) => !told.has(one.id)).map((one) => [one.id, one]));
    for (const id of told) {
      if (!this.#items.has(id)) continue;
      next.set(id, this.#items.get(id));
      this.#ask(id);
    }
    this.#items = next;
    if (JSON.stringify(this.all) !== before) this.#changed();
  }

  /** Another tab may have switched the session to another workspace: this page's is named. */
  #path(rest, query = {}) {
    return `/api/conversations${rest}?${new URLSearchParams({ ...query, workspace: this.workspace })}`;
  }

  /**
   * What the server told everybody. Whether it is pinned is each person's own and not in there.
   * @param {object} conversation
   * @param {boolean} [own] an answer to this person's own request: then `pinned` counts
   */
  update(conversation, own = false) {
    if (conversation.temporary) return;
    this.#told?.add(conversation.id);
    const known = this.#items.get(conversation.id);
    const { pinned, unread, lastReadAt, ...told } = conversation;
    if (conversation.deletedAt) return this.remove(conversation.id);
    const mine = own ? { pinned, unread, lastReadAt } : { pinned: known?.pinned ?? false, unread: known?.unread ?? 0, lastReadAt: known?.lastReadAt ?? null };
    const next = { ...known, ...told, ...mine };
    if (conversation.status === "archived") this.#items.delete(conversation.id);
    else this.#items.set(conversation.id, next);
    const moved = !own && this.#concerns(next) && (next.messageCount !== known?.messageCount || Boolean(known?.live) !== Boolean(next.live));
    if (moved) this.#ask(conversation.id);
    this.#changed();
  }

  /** A conversation speaks to who began it, opened it, pinned it, or is one of the few it is shared with. */
  #concerns({ createdBy, lastReadAt, pinned, visibility }) {
    return createdBy === this.me || Boolean(lastReadAt) || pinned || visibility === "shared";
  }

  #ask(id) {
    if (this.#asking.has(id)) return;
    this.#asking.set(
      id,
      setTimeout(async () => {
        this.#asking.delete(id);
        try {
          this.update(await api("GET", this.#path(`/${id}`)), true);
        } catch (error) {
          if (error.status === 404) this.remove(id);
        }
      }, GATHER_MS),
    );
  }

  #changed() {
    schedule(this.#drawn);
    this.dispatchEvent(new Event("change"));
  }

  #drawn = () => this.draw();

  remove(id) {
    this.#told?.add(id);
    if (this.#items.delete(id)) this.#changed();
  }

  draw() {
    if (this.element) drawUnpressed(this.element, this.#lay);
  }

  #lay = () => {
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
    const held = this.element.contains(document.activeElement) ? document.activeElement : null;
    setChildren(this.element, children);
    if (held?.isConnected && held !== document.activeElement) held.focus({ preventScroll: true }); // it was moved
  };

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
export function mark({ live, lastStatus, unread, pinned }) {
  if (live === "waiting") return [h("span.st.warn", {}, icon("shield-alert", "s")), h("span.sr", {}, "waits for approval")];
  if (live) return [h("span.pulse"), h("span.sr", {}, "an agent is answering")];
  if (unread) return newsMark(unread);
  if (lastStatus === "failed") return [h("span.st.bad", {}, icon("circle-x", "s")), h("span.sr", {}, "last run failed")];
  return pinned ? [icon("pin", "s"), h("span.sr", {}, "pinned")] : [];
}

/** How many messages are new, for eyes and for ears. */
export function newsMark(unread) {
  return unread ? [h("span.news.num", { "aria-hidden": "true" }, unread > 99 ? "99+" : String(unread)), h("span.sr", {}, `${unread} unread`)] : [];
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
