/** The form of a budget, for a new one and for a change. Makes elements; asks nothing. */
import { h } from "../lib/dom.js";

const ENDS = [["shrink", "Shorten, then refuse"], ["refuse", "Refuse"], ["", "Only warn"]];
const MONEY = "[0-9]+([.][0-9]{1,12})?";

/**
 * @param {object} parts
 * @param {object|null} parts.budget the one to change
 * @param {{id: string, name: string}[]} [parts.agents] whom a new one may be for
 * @param {{id: string, name: string}[]} [parts.people]
 * @param {(fields: object) => Promise<void>} parts.save rejects with what is wrong
 * @param {() => void} [parts.cancel]
 */
export function budgetForm({ budget = null, agents = [], people = [], save, cancel = null }) {
  const fault = h("p.fault", { role: "alert", hidden: true });
  const own = budget ? [] : scopes(agents, people);
  const form = h(
    "form.make",
    { "aria-label": budget ? `Change ${budget.name}` : "A new budget" },
    ...own,
    field("US dollars", { name: "limit", required: true, inputmode: "decimal", pattern: MONEY, title: "A number like 10 or 2.50", placeholder: "10.00", value: budget?.limit }),
    budget ? null : choice("period", "In", [["month", "a month"], ["day", "a day"], ["total", "all"]], "month"),
    choice("end", "At its end", ENDS, budget ? (budget.hard ? budget.onEnd : "") : "shrink"),
    field("Warn at, in %", { name: "alerts", pattern: "[0-9, ]*", title: "Percentages with commas between them", value: (budget?.alertAt ?? [50, 80, 100]).join(", ") }),
    field("Name", { name: "name", maxlength: 100, placeholder: "optional", value: budget?.name }),
    h("label.mail", {}, h("input", { type: "checkbox", name: "email", checked: budget?.email ?? true }), h("span", {}, "Warn by e-mail too")),
    h("div.r", {}, h("button.btn.sm.primary", {}, budget ? "Save" : "Set"), cancel ? h("button.btn.sm.quiet", { type: "button", onclick: cancel }, "Cancel") : null),
    fault,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = form.querySelector(".r .btn");
    button.disabled = true;
    fault.hidden = true;
    try {
      await save(fieldsOf(new FormData(form), budget));
      if (!budget) form.reset();
    } catch (error) {
      fault.textContent = error.message;
      fault.hidden = false;
    }
    button.disabled = false;
  });
  return form;
}

/** What the form says, as the API takes it. Exported for its test. */
export function fieldsOf(data, budget = null) {
  const end = data.get("end");
  const fields = {
    limit: data.get("limit").trim(),
    hard: Boolean(end),
    ...(end ? { onEnd: end } : {}),
    alertAt: (data.get("alerts").match(/[0-9]+/g) ?? []).map(Number),
    email: data.has("email"),
  };
  const name = data.get("name").trim();
  if (budget ? name !== budget.name : name) fields.name = name;
  if (budget) return fields;
  const [scope, ...id] = data.get("of").split(":");
  return { ...fields, scope, scopeId: id.join(":"), period: data.get("period") };
}

function field(label, properties) {
  return h("label", {}, h("span", {}, label), h("input.in", { autocomplete: "off", ...properties }));
}

function choice(name, label, options, chosen) {
  const made = h("select.in", { name }, ...options.map(([value, text]) => h("option", { value, selected: value === chosen }, text)));
  return h("label", {}, h("span", {}, label), made);
}

function scopes(agents, people) {
  const group = (label, scope, items) => (items.length ? h("optgroup", { label }, ...items.map((one) => h("option", { value: `${scope}:${one.id}` }, one.name))) : null);
  const select = h("select.in", { name: "of" }, h("option", { value: "workspace:" }, "The whole workspace"), group("Agents", "agent", agents), group("People", "user", people));
  return [h("label", {}, h("span", {}, "For"), select)];
}
