/** The field in which a person rewrites a message. */
import { h } from "../lib/dom.js";
import { fieldForm } from "./field-form.js";

/**
 * @param {string} text
 * @param {(text: string|null) => void} done with the new text, or null
 * @returns {HTMLFormElement}
 */
export function editor(text, done) {
  const field = h("textarea", { rows: String(Math.min(8, text.split("\n").length + 1)), "aria-label": "Edit your message" });
  field.value = text;
  return fieldForm("form.editor", field, {
    note: "It becomes a new version; the old one is kept.",
    leave: "Cancel",
    done: (changed) => changed !== "" && done(changed), // an empty one is not sent
  });
}
