/**
 * What waits for a decision in this conversation and is out of view: a line above the composer leads there. A new one
 * is announced; the focus stays where it is.
 */
import { h, icon } from "../lib/dom.js";
import { schedule } from "../lib/schedule.js";

export class Waits {
  #announced = new Set();
  #wanted = /^#approval-(.+)$/.exec(location.hash)?.[1] ?? null;
  #key = "";

  /**
   * @param {HTMLElement} log the messages, which scroll
   * @param {HTMLElement} announcer
   */
  constructor(log, announcer) {
    Object.assign(this, { log, announcer });
    this.element = h("div.waits", { hidden: true });
    document.querySelector(".dock > div > .typing")?.after(this.element);
    log.addEventListener("scroll", () => schedule(this.#look), { passive: true });
  }

  draw() {
    this.#announce();
    this.#look();
    if (this.#wanted && document.getElementById(`approval-${this.#wanted}`)) {
      this.#reveal(document.getElementById(`approval-${this.#wanted}`));
      this.#wanted = null;
    }
  }

  get #cards() {
    return [...this.log.querySelectorAll('nexus-approval[status="open"]')];
  }

  #announce() {
    for (const card of this.#cards) {
      const { approval, agent } = card.view;
      if (this.#announced.has(approval.toolId)) continue;
      this.#announced.add(approval.toolId);
      const name = agent?.name ?? "An agent";
      this.announcer.textContent = approval.kind === "question" ? `${name} asks a question.` : `${name} waits for approval of ${approval.toolName}.`;
    }
  }

  #look = () => {
    const view = this.log.getBoundingClientRect();
    const away = this.#cards.filter((card) => {
      const box = card.getBoundingClientRect();
      return box.bottom < view.top + 40 || box.top > view.bottom - 40;
    });
    const above = away.length > 0 && away[0].getBoundingClientRect().top < view.top;
    const key = `${away.map((card) => card.dataset.tool).join()}${above}`;
    if (key === this.#key) return;
    this.#key = key;
    this.element.hidden = !away.length;
    if (!away.length) return this.element.replaceChildren();
    const words = `${away.length} ${away.length === 1 ? "decision waits" : "decisions wait"} ${above ? "above" : "below"}`;
    const link = h("a.st.warn", { href: `#${away[0].id}`, onclick: (event) => this.#follow(event, away[0]) }, icon("shield-alert", "s"), h("span", {}, words));
    this.element.replaceChildren(link);
  };

  #follow(event, card) {
    event.preventDefault();
    this.#reveal(card);
  }

  #reveal(card) {
    card.scrollIntoView({ block: "center" });
    card.tabIndex = -1;
    card.focus({ preventScroll: true });
  }
}
