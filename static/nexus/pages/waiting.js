/** Where there is no conversation yet: what was sent and has not arrived, with its way back. */
import { h, icon } from "../lib/dom.js";
import { drawUnpressed } from "../lib/press.js";
import { schedule } from "../lib/schedule.js";

export class WaitingMessages {
  #key = "";

  /**
   * @param {import("./shell.js").Shell} shell
   * @param {HTMLElement} element the list, hidden while nothing waits
   * @param {{again: (message: object) => void, remove: (message: object) => void}} acts
   */
  constructor(shell, element, acts) {
    Object.assign(this, { client: shell.client, element, acts });
    const draw = () => schedule(this.draw);
    this.client.addEventListener("change", draw);
    this.client.addEventListener("connection", draw);
    draw();
  }

  draw = () => {
    const waiting = this.client.state.pending.filter((one) => !one.quiet && one.status !== "accepted" && (one.status === "failed" || !this.client.link.isOpen));
    const key = JSON.stringify(waiting.map((one) => [one.clientId, one.status, one.error?.message]));
    if (key === this.#key) return;
    this.#key = key;
    drawUnpressed(this.element, () => {
      this.element.hidden = !waiting.length;
      this.element.replaceChildren(...waiting.map((one) => this.#row(one)));
    });
  };

  #row(message) {
    const failed = message.status === "failed";
    const state = failed ? h("span.st.bad.loud", {}, icon("triangle-alert", "s"), h("span", {}, "Not sent")) : h("span.st.off.loud", {}, icon("clock", "s"), h("span", {}, "Goes when you are back"));
    return h(
      "li",
      {},
      h("div.grow", {}, h("p.cut", {}, message.text || "An image"), h("div.why", {}, state, failed ? h("span.mut", {}, message.error?.message ?? "It is kept here.") : null)),
      failed ? h("button.btn.sm", { type: "button", onclick: () => this.acts.again(message) }, "Send again") : null,
      h("button.btn.sm.quiet", { type: "button", onclick: () => this.acts.remove(message) }, "Remove"),
    );
  }
}
