/** The field in which a person rewrites a message. Enter sends, Esc gives up, as in the composer. */
import { h } from "../lib/dom.js";

/**
 * @param {string} text
 * @param {(text: string|null) => void} done with the new text, or null
 * @returns {HTMLFormElement}
 */
export function editor(text, done) {
  const field = h("textarea", { rows: String(Math.min(8, text.split("\n").length + 1)), "aria-label": "Edit your message" });
  field.value = text;
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      done(null);
    }
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      if (field.value.trim()) done(field.value.trim());
    }
  });
  return h(
    "form.editor",
    {
      onsubmit: (event) => {
        event.preventDefault();
        if (field.value.trim()) done(field.value.trim());
      },
    },
    field,
    h("div.r", {}, h("span.mut.grow", {}, "It becomes a new version; the old one is kept."), h("button.btn.sm.quiet", { type: "button", onclick: () => done(null) }, "Cancel"), h("button.btn.sm.primary", { type: "submit" }, "Send")),
  );
}
