/**
 * `<nexus-connection>`: quiet when live, speaks when it is not. Property `state`: `{status, missing?}`; statuses as `Link`
 * tells them, and `catching-up`. The banner for being offline is the page's (`offlineBanner`).
 */
import { h, icon } from "../lib/dom.js";
import { wholeSeconds } from "../lib/format.js";
import { tick } from "../lib/schedule.js";

const WORDS = {
  live: ["off", "wifi", "Live", false],
  connecting: ["warn", "loader-circle", "Connecting", true],
  "catching-up": ["warn", "rotate-cw", "Catching up", false],
  offline: ["bad", "wifi-off", "Offline", false],
  closed: ["off", "wifi-off", "Not connected", false],
  "signed-out": ["bad", "lock", "Logged out", false],
  forbidden: ["bad", "lock", "No access", false],
};

export class NexusConnection extends HTMLElement {
  #key = "";

  set state({ status, missing = 0 }) {
    const [kind, iconName, word, spin] = WORDS[status] ?? WORDS.closed;
    const text = status === "catching-up" && missing ? `${word}, ${missing} pieces` : word;
    if (this.#key === text) return;
    this.#key = text;
    this.className = `st ${kind} loud`;
    this.setAttribute("role", "status");
    this.replaceChildren(icon(iconName, spin ? "s spin" : "s"), h("span", {}, text));
  }
}

/** The line above the composer while the link is down. `link` is the client's. */
export function offlineBanner(link) {
  const words = h("span.grow", {}, h("b", {}, "You are offline."), " The agents go on without you; you catch up as soon as you are back. ", h("span.num", { "aria-hidden": "true" }));
  const banner = h("div.banner", { role: "status" }, icon("wifi-off"), words, h("button.btn.sm", { type: "button", onclick: () => link.retryNow() }, "Try now"));
  const next = words.lastElementChild;
  const stop = tick((now) => {
    if (!banner.isConnected) return stop();
    next.textContent = link.status === "offline" && link.retryAt > now ? `Next try in ${wholeSeconds(link.retryAt - now)}.` : "Trying now.";
  });
  return banner;
}

customElements.define("nexus-connection", NexusConnection);
