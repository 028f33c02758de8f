/** The usage page: reads what is chosen from the address, asks for it, and fills the panels. Each waits and fails alone. */
import { api } from "../lib/api.js";
import { h, icon } from "../lib/dom.js";
import { closeOnBackdrop } from "../pages/dialogs.js";
import { inFull, list, rows } from "./attempts.js";
import { BudgetPanel } from "./budget-panel.js";
import * as panels from "./panels.js";
import "./plot.js";
import { address, asked, GROUPS, parse, RANGES, sameNumbers, widened } from "./query.js";
import { days, nameOf } from "./words.js";

/** New numbers come at most this often while runs end. */
const LIVE_MS = 10_000;
/** A wait is shown when it is one. */
const QUIET_MS = 200;
/** Requests that are listed at first; older ones come fifty at a time. */
const FIRST = 20;

export class Usage {
  #chosen = null;
  #turn = 0;
  #names = new Map();
  #live = null;
  #dialog = null;
  #budgets = null;

  constructor(shell) {
    this.shell = shell;
    this.main = document.getElementById("main");
    this.zone = shell.user.timezone;
  }

  start() {
    this.main.addEventListener("click", (event) => this.#clicked(event));
    document.querySelector("[data-ranges]")?.addEventListener("click", (event) => this.#clicked(event));
    addEventListener("popstate", () => this.#go(parse(location.search)));
    const form = this.main.querySelector("[data-days]");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#choose({ ...this.#chosen, attempt: "", from: form.elements.from.value, to: form.elements.to.value });
    });
    this.shell.client.addEventListener("frame", ({ detail }) => detail.frame.type === "usage.updated" && this.#heard());
    this.#budgets = new BudgetPanel(this.shell, this.#panel("budgets"), this.#panel("new-budget"));
    this.#budgets.start();
    this.#go(parse(location.search));
  }

  /** A link of this page changes what is chosen; with a key held down it opens elsewhere, as links do. */
  #clicked(event) {
    const link = event.target.closest("[data-to]");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    this.#choose(parse(link.dataset.to));
  }

  #choose(chosen) {
    history.pushState(null, "", `/usage/${address(chosen)}`);
    this.#go(chosen);
  }

  #go(chosen) {
    const same = sameNumbers(this.#chosen, chosen);
    this.#chosen = chosen;
    this.#bar();
    this.#attempt(chosen.attempt);
    if (!same) this.#load();
  }

  // --- what is chosen --------------------------------------------------------------------------------------

  #bar() {
    const chosen = this.#chosen;
    const custom = Boolean(chosen.from || chosen.to);
    const segment = (items, isChosen, to) => items.map(([name, label]) => h("a", { href: `/usage/${to(name)}`, "aria-current": isChosen(name) ? "true" : false, data: { to: to(name) } }, label));
    const plain = { ...chosen, attempt: "" };
    document.querySelector("[data-ranges]").replaceChildren(...segment(RANGES, (name) => !custom && name === chosen.range, (name) => address({ ...plain, range: name, from: "", to: "" }) || "?range=month"));
    this.#panel("groups-by").replaceChildren(...segment(GROUPS, (name) => name === chosen.groupBy, (name) => address({ ...plain, groupBy: name }) || "?groupBy=agent"));
    this.#chips();
    for (const kind of ["csv", "json"]) document.querySelector(`[data-export=${kind}]`).href = `/api/usage/export.${kind}${asked(chosen)}`;
  }

  #chips() {
    const place = this.#panel("chips");
    const chips = Object.entries(this.#chosen.filters).map(([name, value]) => {
      const to = address(widened(this.#chosen, name)) || "?range=month";
      const label = GROUPS.find(([group]) => group === name)[1];
      const told = this.#names.get(`${name}:${value}`) ?? nameOf(name, { key: value === "~" ? null : value, name: name === "user" || name === "conversation" ? "…" : null });
      return h("a.chip", { href: `/usage/${to}`, "aria-label": `Take away the filter ${label}: ${told}`, data: { to } }, h("span.mut", {}, label), h("b.cut", {}, told), icon("x", "s"));
    });
    place.replaceChildren(...chips);
    place.hidden = !chips.length;
  }

  // --- numbers ---------------------------------------------------------------------------------------------

  async #load({ quiet = false } = {}) {
    const turn = ++this.#turn;
    const chosen = this.#chosen;
    const current = () => turn === this.#turn;
    if (!quiet) this.main.querySelectorAll("dl[data-panel], section:not(#budgets) [data-panel]").forEach((panel) => panel.setAttribute("aria-busy", "true"));
    const waits = setTimeout(() => current() && this.#wait(!quiet), QUIET_MS);
    const groupBy = chosen.groupBy;
    const overview = api("GET", `/api/usage/overview${asked(chosen, { groupBy })}`);
    const latencies = api("GET", `/api/usage/latencies${asked(chosen, { groupBy: groupBy === "agent" ? "model" : groupBy })}`);
    const reliability = api("GET", `/api/usage/reliability${asked(chosen)}`);
    const fill = (name, answers, draw) => this.#fill(name, Promise.all(answers), draw, current);
    const title = GROUPS.find(([name]) => name === groupBy)[1];
    const all = [
      fill("tiles", [overview], ([one]) => this.#summary(one)),
      fill("tiles", [overview, latencies], ([one, two]) => one.totals.requests && panels.tiles(one, two)),
      fill("spend", [overview], ([one]) => { const none = panels.nothingSpent(one); return none ? [none] : this.#plot("spend", panels.spend(one)); }),
      fill("groups", [overview], ([one]) => [panels.groups(one, chosen, title)]),
      fill("buckets", [overview], ([one]) => panels.buckets(one)),
      fill("tokens", [overview], ([one]) => this.#plot("tokens", panels.tokens(one))),
      fill("requests", [overview], ([one]) => this.#plot("requests", panels.requests(one))),
      fill("times", [latencies], ([one]) => [panels.latencies(one, GROUPS.find(([name]) => name === one.groupBy)[1])]),
      fill("first-words", [latencies], ([one]) => this.#plot("first-words", panels.firstWords(one))),
      fill("tools", [reliability], ([one]) => [panels.tools(one)]),
      fill("recovery", [reliability, overview], ([one, two]) => [panels.recovery(one, two)]),
      fill("attempts", [api("GET", `/api/usage/attempts${asked(chosen, { limit: FIRST })}`)], ([one]) => this.#list(one, chosen, current)),
    ];
    await Promise.allSettled(all);
    clearTimeout(waits);
    if (current()) this.#wait(false);
  }

  /** A sign that something is on its way: a line that is read out, and panels that step back. */
  #wait(shown) {
    this.#panel("wait").textContent = shown ? "Adding up…" : "";
    this.main.classList.toggle("waits", shown);
  }

  async #fill(name, answer, draw, current) {
    const place = this.#panel(name);
    try {
      const made = draw(await answer);
      if (current() && made) place.replaceChildren(...made);
    } catch (error) {
      if (!current()) return;
      const retry = h("button.btn.sm", { type: "button", onclick: () => this.#load() }, "Try again");
      const id = error.requestId ? h("span.mono.mut", {}, error.requestId) : null;
      place.replaceChildren(h("p.fault", { role: "alert" }, h("span.st.bad", {}, icon("circle-x", "s"), h("span", {}, error.message)), id, retry));
    } finally {
      if (current()) place.removeAttribute("aria-busy");
    }
  }

  /** The heading's days, the form's days, names for the chips; and whether there is anything at all. */
  #summary(overview) {
    const { span, totals, groupBy } = overview;
    document.querySelector("[data-span]").textContent = days(span);
    const form = this.main.querySelector("[data-days]");
    [form.elements.from.value, form.elements.to.value] = [span.from, span.to];
    for (const line of overview.groups) this.#names.set(`${groupBy}:${line.key ?? "~"}`, nameOf(groupBy, line));
    for (const [name, value] of Object.entries(this.#chosen.filters)) {
      if (name === groupBy || this.#names.has(`${name}:${value}`) || !totals.requests) continue;
      this.#nameLater(name, value);
    }
    this.#chips();
    this.main.classList.toggle("nothing", !totals.requests);
    this.#panel("empty").hidden = Boolean(totals.requests);
    const narrowed = Object.keys(this.#chosen.filters).length > 0;
    this.#panel("empty").querySelector("p").textContent = narrowed ? "No request fits these filters in this time." : span.range === "all" ? "Nothing was asked yet. What requests use and cost appears here." : "Nothing was asked in this time.";
    return totals.requests ? panels.tiles(overview, null) : [];
  }

  /** A shared address has ids only: one request of that group tells the name. */
  async #nameLater(name, value) {
    const { items } = await api("GET", `/api/usage/attempts${asked({ ...this.#chosen, filters: { [name]: value } }, { limit: 1 })}`).catch(() => ({ items: [] }));
    const told = items[0] && { agent: items[0].agentName, user: items[0].userName, conversation: items[0].conversationTitle }[name];
    this.#names.set(`${name}:${value}`, nameOf(name, { key: value === "~" ? null : value, name: told ?? null }));
    this.#chips();
  }

  /** The same element for new numbers, so that what is open or under the pointer stays. */
  #plot(name, data) {
    const place = this.#panel(name);
    const plot = place.querySelector("nexus-usage-plot") ?? h("nexus-usage-plot");
    plot.data = data;
    const open = place.querySelector("details")?.open ?? false;
    const details = h("details.as-table", { open }, h("summary", {}, icon("chevron-right", "s chev"), "As a table"));
    const draw = () => details.open && details.childElementCount === 1 && details.append(panels.plotTable(data));
    details.addEventListener("toggle", draw);
    draw();
    return [plot, details];
  }

  #list(page, chosen, current) {
    const { made, body } = list();
    const more = h("button.btn.sm", { type: "button" }, "Show older ones");
    let cursor = page.nextCursor;
    const add = (items) => body.append(...rows(items, chosen, this.zone));
    add(page.items);
    more.hidden = !cursor;
    more.addEventListener("click", async () => {
      more.disabled = true;
      more.textContent = "Looking…";
      try {
        const next = await api("GET", `/api/usage/attempts${asked(chosen, { cursor })}`);
        if (!current()) return;
        const first = body.childElementCount;
        add(next.items);
        cursor = next.nextCursor;
        more.hidden = !cursor;
        body.children[first]?.querySelector("a")?.focus({ preventScroll: true });
      } catch (error) {
        this.shell.fail("Older requests could not be read", error);
      }
      more.disabled = false;
      more.textContent = "Show older ones";
    });
    return [made, h("div.pager", {}, more)];
  }

  // --- one request -----------------------------------------------------------------------------------------

  async #attempt(id) {
    if (!id) {
      this.#dialog?.close();
      return;
    }
    if (this.#dialog) return;
    const body = h("div.body", { "aria-busy": "true" }, h("p.mut", { role: "status" }, "Looking it up…"));
    const dialog = (this.#dialog = h("dialog.ask.one-request", { "aria-labelledby": "one-request" }, h("header", {}, h("h2.grow", { id: "one-request" }, "Request"), h("button.ib", { type: "button", "aria-label": "Close", onclick: () => dialog.close() }, icon("x"))), body));
    dialog.addEventListener("close", () => {
      dialog.remove();
      this.#dialog = null;
      if (this.#chosen.attempt) this.#choose({ ...this.#chosen, attempt: "" });
    });
    closeOnBackdrop(dialog);
    document.body.append(dialog);
    dialog.showModal();
    try {
      body.replaceChildren(...inFull(await api("GET", `/api/usage/attempts/${encodeURIComponent(id)}`), this.zone));
    } catch (error) {
      body.replaceChildren(h("p.fault", { role: "alert" }, h("span.st.bad", {}, icon("circle-x", "s"), h("span", {}, error.status === 404 ? "This request is not there." : error.message))));
    }
    body.removeAttribute("aria-busy");
  }

  // --- live ------------------------------------------------------------------------------------------------

  /** A run has ended: new numbers soon, when somebody looks. */
  #heard() {
    if (this.#live) return;
    this.#live = setTimeout(() => {
      this.#live = null;
      if (document.visibilityState === "visible") {
        this.#budgets.load();
        this.#load({ quiet: true });
      } else document.addEventListener("visibilitychange", () => this.#heard(), { once: true });
    }, LIVE_MS);
  }

  #panel(name) {
    return this.main.querySelector(`[data-panel="${name}"]`);
  }
}
