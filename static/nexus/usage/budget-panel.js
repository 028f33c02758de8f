/** The part of the usage page about budgets: of now, whatever time is chosen. Admins set, change and end them here. */
import { api } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { confirmDialog } from "../pages/dialogs.js";
import { budgetForm } from "./budget-form.js";
import { budgets } from "./budgets.js";

export class BudgetPanel {
  /** @param {import("../pages/shell.js").Shell} shell @param {HTMLElement} place of the list @param {HTMLElement} below of the form */
  constructor(shell, place, below) {
    this.shell = shell;
    this.place = place;
    this.below = below;
    this.may = ["owner", "admin"].includes(shell.user.role) ? { edit: this.#edit, end: this.#end } : null;
    shell.client.addEventListener("frame", ({ detail }) => detail.frame.type === "budget.warning" && this.load());
  }

  async start() {
    await this.load();
    if (location.hash === "#budgets") this.place.closest("section").scrollIntoView();
    if (this.may) await this.#offer();
  }

  /** Draws them as they are now; not while one of them is being changed. */
  async load() {
    try {
      const { items } = await api("GET", "/api/budgets");
      if (!this.place.querySelector("form")) this.place.replaceChildren(...budgets(items, this.may));
    } catch (error) {
      this.place.replaceChildren(h("p.fault", { role: "alert" }, error.message, h("button.btn.sm", { type: "button", onclick: () => this.load() }, "Try again")));
    }
    this.place.removeAttribute("aria-busy");
  }

  async #offer() {
    const [agents, members] = await Promise.all([api("GET", "/api/agents"), api("GET", "/api/members")]).catch(() => []);
    const people = (members?.items ?? []).map((one) => ({ id: one.userId ?? one.id, name: one.name }));
    const form = budgetForm({ agents: agents?.items ?? [], people, save: (fields) => this.#made(fields) });
    this.below.replaceChildren(h("details.as-table", {}, h("summary", {}, icon("chevron-right", "s chev"), "Set a budget"), form));
  }

  async #made(fields) {
    const { id } = await api("POST", "/api/budgets", fields);
    await this.load();
    this.below.querySelector("details").open = false;
    this.#focus(id);
  }

  #edit = (budget, line) => {
    const before = [...line.children];
    const close = () => {
      line.classList.remove("open");
      line.replaceChildren(...before);
      this.#focus(budget.id);
    };
    const save = async (fields) => {
      await api("PATCH", `/api/budgets/${budget.id}`, fields);
      close();
      await this.load();
      this.#focus(budget.id);
    };
    const form = budgetForm({ budget, save, cancel: close });
    form.addEventListener("keydown", (event) => event.key === "Escape" && close());
    line.classList.add("open");
    line.replaceChildren(form);
    form.elements.limit.select();
  };

  #end = async (budget) => {
    const sure = await confirmDialog({ title: `End “${budget.name}”?`, text: "It holds nobody from then on. What was spent stays in the books.", action: "End it", danger: true });
    if (!sure) return;
    try {
      await api("DELETE", `/api/budgets/${budget.id}`);
    } catch (error) {
      this.shell.fail("Not ended", error);
    }
    await this.load();
    this.below.querySelector("summary")?.focus();
  };

  /** Where somebody was who used the keyboard. */
  #focus(id) {
    this.place.querySelector(`[data-budget="${CSS.escape(id)}"] button`)?.focus();
  }
}
