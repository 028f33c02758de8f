/** A form around one field. Enter sends, Esc leaves it, as in the composer. */
import { h } from "../lib/dom.js";

/**
 * @param {string} name element and classes, as for `h`
 * @param {HTMLTextAreaElement} field
 * @param {object} options
 * @param {string} options.note what a person should know, beside the buttons
 * @param {string} options.leave label of the button that leaves it
 * @param {(text: string|null) => void} options.done with the text, or null when it was left
 * @returns {HTMLFormElement}
 */
export function fieldForm(name, field, { note, leave, done }) {
  const send = (event) => {
    event.preventDefault();
    done(field.value.trim());
  };
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return; // the Enter that ends a Japanese or Chinese word
    if (event.key === "Escape") {
      event.stopPropagation();
      done(null);
    }
    if (event.key === "Enter" && !event.shiftKey) send(event);
  });
  return h(
    name,
    { onsubmit: send },
    field,
    h("div.r", {}, h("span.mut.grow", {}, note), h("button.btn.sm.quiet", { type: "button", onclick: () => done(null) }, leave), h("button.btn.sm.primary", { type: "submit" }, "Send")),
  );
}
