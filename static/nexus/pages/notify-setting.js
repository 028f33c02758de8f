/**
 * The setting for the browser's notifications. The wish is the person's and goes with them; the permission is this
 * browser's, and it is asked for only by their click.
 */
import { api } from "../lib/api.js";
import { h } from "../lib/dom.js";

const WORDS = {
  off: "While you look at something else, and never for short answers.",
  granted: "On, also in this browser.",
  default: "On for you, but this browser has not been allowed yet.",
  denied: "This browser forbids it. Allow notifications for this site in the browser's settings.",
  missing: "This browser cannot notify here. It needs a secure address (https).",
};

export class NotifySetting {
  /**
   * @param {import("./shell.js").Shell} shell
   * @param {HTMLElement} row
   */
  constructor(shell, row) {
    this.shell = shell;
    this.toggle = row.querySelector("[data-notify-toggle]");
    this.help = row.querySelector("[data-notify-help]");
    this.toggle.addEventListener("change", () => (this.toggle.checked ? this.#on() : this.#save(false)));
    this.#draw();
  }

  get #permission() {
    return "Notification" in window ? Notification.permission : "missing";
  }

  #draw() {
    const permission = this.#permission;
    const key = this.toggle.checked || permission === "missing" ? permission : "off";
    this.help.replaceChildren(WORDS[key]);
    if (key === "default") this.help.append(" ", h("button.lk", { type: "button", onclick: () => this.#on() }, "Allow"));
  }

  async #on() {
    if (this.#permission === "default") await Notification.requestPermission();
    if (this.#permission === "granted") return this.#save(true);
    this.toggle.checked = false;
    await this.#save(false);
    this.help.replaceChildren(WORDS[this.#permission === "missing" ? "missing" : "denied"]);
  }

  async #save(on) {
    try {
      await api("PATCH", "/api/me", { notificationsEnabled: on });
      this.shell.user.notificationsEnabled = on;
    } catch (error) {
      this.toggle.checked = !on;
      this.shell.fail("Not saved", error);
    }
    this.#draw();
  }
}
