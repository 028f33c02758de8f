/** Members: every form works by itself; this only copies the new link. */
import { copyText } from "../lib/clipboard.js";

export class MembersPage {
  constructor(shell) {
    const box = document.querySelector("[data-link]");
    if (!box) return;
    const field = box.querySelector("input");
    const button = box.querySelector("[data-copy]");
    button.hidden = false;
    button.addEventListener("click", async () => (await copyText(field.value)) && shell.say({ kind: "ok", title: "Link copied" }));
    field.select();
  }

  start() {}
}
