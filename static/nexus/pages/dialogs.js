/** Dialogs: a question before something that cannot be taken back, and drawers on small screens. Native `<dialog>`. */
import { h, icon } from "../lib/dom.js";

/**
 * @param {{title: string, text: string, action: string, danger?: boolean}} question
 * @returns {Promise<boolean>}
 */
export function confirmDialog({ title, text, action, danger = false }) {
  return new Promise((resolve) => {
    const dialog = h(
      "dialog.ask",
      { "aria-labelledby": "ask-title" },
      h("h2", { id: "ask-title" }, title),
      h("p", {}, text),
      h("form.r", { method: "dialog" }, h("button.btn.quiet", { value: "" }, "Cancel"), h(`button.btn.${danger ? "danger" : "primary"}`, { value: "yes" }, action)),
    );
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    closeOnBackdrop(dialog);
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** A click beside a dialog closes it. */
export function closeOnBackdrop(dialog) {
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
}

const open = new Map();

/** Shows a side panel as a dialog; its element moves in and goes back to its place afterwards. */
export function openDrawer(id) {
  const panel = document.getElementById(id);
  if (!panel || open.has(id)) return;
  const place = document.createComment(id);
  panel.replaceWith(place);
  const dialog = h(`dialog.drawer.${id}`, { "aria-label": panel.getAttribute("aria-label") }, panel);
  panel.removeAttribute("aria-label");
  dialog.addEventListener("close", () => {
    panel.setAttribute("aria-label", dialog.getAttribute("aria-label"));
    place.replaceWith(panel);
    dialog.remove();
    open.delete(id);
  });
  closeOnBackdrop(dialog);
  document.body.append(dialog);
  open.set(id, dialog);
  dialog.showModal();
}

export function closeDrawer(id) {
  open.get(id)?.close();
}

/** All keys, in one sheet. */
export function shortcutSheet(groups) {
  const dialog = h(
    "dialog.sheet-of-keys",
    { "aria-labelledby": "keys-title" },
    h("header", {}, h("h2", { id: "keys-title" }, "Keys"), h("span.grow"), h("button.ib", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("x"))),
    ...groups.map(([name, keys]) => h("section", {}, h("h3", {}, name), h("dl", {}, ...keys.flatMap(([key, what]) => [h("dt", {}, ...key.split(" ").map((one) => h("kbd", {}, one))), h("dd", {}, what)])))),
  );
  dialog.addEventListener("close", () => dialog.remove());
  closeOnBackdrop(dialog);
  document.body.append(dialog);
  dialog.showModal();
}
