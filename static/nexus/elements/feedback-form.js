/** Under an answer that was just called good or poor: why? One may say it, or not; Esc leaves it at the mark. */
import { h } from "../lib/dom.js";
import { fieldForm } from "./field-form.js";

const ASK = { good: "What was good about it? (optional)", poor: "What was wrong with it? (optional)" };
const LONGEST = 2000;

/**
 * @param {{rating: "good"|"poor", comment: string}} feedback
 * @param {(comment: string|null) => void} done with the comment, or null to leave it as it is
 * @returns {HTMLFormElement}
 */
export function feedbackForm({ rating, comment }, done) {
  const field = h("textarea", { rows: "1", maxlength: String(LONGEST), "aria-label": ASK[rating], placeholder: ASK[rating] });
  field.value = comment;
  return fieldForm("form.editor.why", field, { note: "You and the admins can read it.", leave: "Close", done });
}
