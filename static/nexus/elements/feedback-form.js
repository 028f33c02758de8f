/** Under an answer that was just called good or poor: why? One may say it, or not. Enter sends, Esc leaves it at the mark. */
import { h } from "../lib/dom.js";

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
  const send = () => done(field.value.trim());
  field.addEventListener("keydown", (event) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      done(null);
    }
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      send();
    }
  });
  const submit = (event) => {
    event.preventDefault();
    send();
  };
  return h(
    "form.editor.why",
    { onsubmit: submit },
    field,
    h("div.r", {}, h("span.mut.grow", {}, "You and the admins can read it."), h("button.btn.sm.quiet", { type: "button", onclick: () => done(null) }, "Close"), h("button.btn.sm.primary", { type: "submit" }, "Send")),
  );
}
