/** A conversation out of an exported file: choose or drag it, see what it is, then take it in. */
import { h, icon } from "../lib/dom.js";
import { sendFile } from "../lib/send-file.js";
import { closeOnBackdrop } from "./dialogs.js";

/** The button on the history page, and files that are dropped on that page. */
export function importButton(shell, main) {
  const button = main.querySelector("[data-import]");
  if (!button) return;
  button.addEventListener("click", () => new ImportDialog(shell, button).open());
  const hasFile = (event) => event.dataTransfer?.types.includes("Files");
  document.addEventListener("dragover", (event) => hasFile(event) && event.preventDefault());
  document.addEventListener("drop", (event) => {
    if (!hasFile(event)) return;
    event.preventDefault();
    if (document.querySelector("dialog.import")) return;
    const dialog = new ImportDialog(shell, button);
    dialog.open();
    dialog.look(event.dataTransfer.files[0]);
  });
}

class ImportDialog {
  constructor(shell, opener) {
    this.shell = shell;
    this.opener = opener;
  }

  open() {
    this.field = h("input.sr", { type: "file", id: "import-file", accept: ".json,application/json", onchange: () => this.field.files[0] && this.look(this.field.files[0]) });
    this.drop = h("label.drop", { for: "import-file" }, icon("upload"), h("span", {}, h("b", {}, "Choose a file"), h("span.mut", {}, "or drop it here. JSON, exported from a conversation's menu")));
    this.found = h("div.found", { "aria-live": "polite" });
    this.dialog = h(
      "dialog.import",
      { "aria-labelledby": "import-title" },
      h("header", {}, h("h2", { id: "import-title" }, "Import a conversation"), h("span.grow"), h("button.ib", { type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon("x"))),
      h("div.import-in", {}, this.field, this.drop, this.found),
    );
    this.dialog.addEventListener("close", () => {
      this.dialog.remove();
      this.opener.focus();
    });
    this.dialog.addEventListener("dragover", (event) => event.preventDefault());
    this.dialog.addEventListener("drop", (event) => {
      event.preventDefault();
      event.stopPropagation();
      if (event.dataTransfer.files[0]) this.look(event.dataTransfer.files[0]);
    });
    closeOnBackdrop(this.dialog);
    document.body.append(this.dialog);
    this.dialog.showModal();
    this.field.focus();
  }

  /** @param {File} file */
  async look(file) {
    this.file = file;
    this.found.replaceChildren(h("p.mut", {}, "Reading the file"));
    try {
      const seen = await sendFile("/api/imports/preview", file);
      if (this.file === file) this.#show(seen);
    } catch (error) {
      if (this.file === file) this.#refused(error);
    }
  }

  #show(seen) {
    const days = seen.firstAt ? [...new Set([day(seen.firstAt), day(seen.lastAt)])] : [];
    const when = days.join(" to ");
    const notes = [
      seen.missingAgents.length ? `${seen.missingAgents.length === 1 ? "An agent" : `${seen.missingAgents.length} agents`} in it ${seen.missingAgents.length === 1 ? "is" : "are"} not in this workspace: ${seen.missingAgents.join(", ")}. Old answers stay, new ones come from others.` : null,
      seen.missingImageCount ? `${plural(seen.missingImageCount, "image")} ${seen.missingImageCount === 1 ? "is" : "are"} named in it, but not inside.` : null,
      seen.already ? "You imported this file before." : null,
    ].filter(Boolean);
    const row = (name, value) => (value ? [h("dt", {}, name), h("dd", {}, value)] : []);
    this.found.replaceChildren(
      h("h3.cut", {}, seen.title),
      h("dl", {}, ...row("Messages", `${seen.messageCount}, ${plural(seen.answerCount, "answer")}`), ...row("People", seen.people.join(", ")), ...row("Images", seen.imageCount ? String(seen.imageCount) : ""), ...row("Written", when)),
      ...notes.map((note) => h("p.note", {}, icon("info", "s"), h("span", {}, note))),
      h("p.mut", {}, "It becomes a private conversation of yours. What it cost is not booked again."),
      h(
        "div.r",
        {},
        h("button.btn.quiet", { type: "button", onclick: () => this.dialog.close() }, "Cancel"),
        seen.already ? h("a.btn", { href: `/c/${seen.already.id}/` }, "Open that one") : null,
        h("button.btn.primary", { type: "button", onclick: (event) => this.#take(event.currentTarget, Boolean(seen.already)) }, seen.already ? "Import a copy" : "Import"),
      ),
    );
    this.found.querySelector(".primary").focus();
  }

  async #take(button, copy) {
    button.disabled = true;
    try {
      const made = await sendFile(`/api/imports${copy ? "?copy=true" : ""}`, this.file);
      location.assign(`/c/${made.id}/`);
    } catch (error) {
      this.#refused(error);
    }
  }

  #refused(error) {
    const places = error.details ?? [];
    this.found.replaceChildren(
      h("p.note.bad", { role: "alert" }, icon("triangle-alert", "s"), h("span", {}, places.length ? "This file cannot be imported. Nothing was stored." : error.message)),
      places.length ? h("ul.places", {}, ...places.slice(0, 5).map((one) => h("li", {}, h("span.mono", {}, one.at), ` ${one.message}`))) : null,
      places.length > 5 ? h("p.mut", {}, `and ${places.length - 5} more`) : null,
    );
  }
}

function plural(number, thing) {
  return `${number} ${thing}${number === 1 ? "" : "s"}`;
}

function day(instant) {
  return new Date(instant).toLocaleDateString("en-GB", { day: "numeric", month: "short", year: "numeric" });
}
