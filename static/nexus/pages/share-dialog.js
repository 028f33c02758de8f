/**
 * Who may see a conversation, in one dialog: private, named people, the workspace; and links for who has no account.
 * Every change is saved when it is made.
 */
import { api } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";
import { avatar, h, icon } from "../lib/dom.js";
import { closeOnBackdrop, confirmDialog } from "./dialogs.js";

const DAYS = [["7", "7 days"], ["1", "1 day"], ["30", "30 days"], ["", "No end"]];

/** The button in the bar. */
export function shareButton(shell) {
  const button = document.querySelector("[data-share]");
  button?.addEventListener("click", () => new ShareDialog(shell, button).open());
}

export class ShareDialog {
  #busy = false;

  constructor(shell, opener) {
    this.shell = shell;
    this.opener = opener;
    this.path = `/api/conversations/${shell.client.conversationId}`;
    this.made = null;
  }

  async open() {
    try {
      this.sharing = await api("GET", `${this.path}/sharing`);
    } catch (error) {
      this.shell.fail("Not shown", error);
      return;
    }
    this.body = h("div.share-in");
    this.said = h("p.sentence", { role: "status", "aria-live": "polite" });
    this.dialog = h(
      "dialog.share",
      { "aria-labelledby": "share-title" },
      h("header", {}, h("h2", { id: "share-title" }, "Share"), h("span.grow"), h("button.ib", { type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon("x"))),
      this.said,
      this.body,
    );
    this.dialog.addEventListener("close", () => {
      this.dialog.remove();
      this.opener.focus();
    });
    closeOnBackdrop(this.dialog);
    document.body.append(this.dialog);
    this.draw();
    this.dialog.showModal();
    (this.body.querySelector("input:checked") ?? this.dialog.querySelector("header .ib")).focus();
  }

  draw() {
    const held = this.dialog.contains(document.activeElement) ? document.activeElement?.dataset.key : null;
    this.said.textContent = sentence(this.sharing, this.shell);
    this.body.replaceChildren(...(this.sharing.mayShare ? [this.#visibility(), this.#people(), this.#links()] : [this.#readers()]).filter(Boolean));
    if (held) (this.body.querySelector(`[data-key="${CSS.escape(held)}"]`) ?? this.body.querySelector("input:checked"))?.focus();
  }

  // --- people --------------------------------------------------------------------------------------------

  #visibility() {
    const { visibility, memberCount } = this.sharing;
    const choice = (value, iconName, title, text) =>
      h(
        "label.choice",
        {},
        h("input", { type: "radio", name: "visibility", value, checked: visibility === value, data: { key: `v-${value}` }, onchange: () => this.#save({ visibility: value }) }),
        icon(iconName),
        h("span", {}, h("b", {}, title), h("span.mut", {}, text)),
      );
    return h(
      "fieldset.choices",
      {},
      h("legend.sr", {}, "Who may see it"),
      choice("private", "lock", "Private", this.#mine() ? "Only you" : `Only ${this.sharing.creator?.name ?? "who began it"}`),
      choice("shared", "user-round", "Named people", "Those you choose, to view or to write"),
      choice("workspace", "users", this.shell.workspace.name, memberCount === 1 ? "Everyone in the workspace, now only you" : `Everyone in the workspace, ${memberCount} people`),
    );
  }

  #mine() {
    return this.sharing.creator?.userId === this.shell.user.id;
  }

  #people() {
    const { visibility, people, others } = this.sharing;
    if (visibility !== "shared") return null;
    const add = h(
      "select.in",
      { "aria-label": "Add somebody", data: { key: "add" }, onchange: (event) => event.target.value && this.#save({ people: [...rights(people), { userId: event.target.value, right: "write" }] }) },
      h("option", { value: "" }, people.length ? "Add somebody else" : "Add somebody"),
      ...others.map((one) => h("option", { value: one.userId }, one.role === "viewer" ? `${one.name} (viewer)` : one.name)),
    );
    return h("section", {}, people.length ? h("ul.rows", {}, ...people.map((one) => this.#person(one))) : null, others.length ? add : h("p.none", {}, people.length ? "Everyone is on the list." : "There is nobody else in this workspace yet."));
  }

  #person(one) {
    const others = this.sharing.people.filter((other) => other !== one);
    const set = (right) => this.#save({ people: this.sharing.people.map((other) => ({ userId: other.userId, right: other === one ? right : other.right })) });
    const may =
      one.role === "viewer"
        ? h("span.mut", { title: "A viewer of the workspace" }, "May view")
        : h("select.in.quiet", { "aria-label": `What ${one.name} may do`, data: { key: `r-${one.userId}` }, onchange: (event) => set(event.target.value) }, h("option", { value: "write", selected: one.right === "write" }, "May write"), h("option", { value: "view", selected: one.right === "view" }, "May view"));
    return h(
      "li",
      {},
      h("div.row", {}, avatar({ id: one.userId, name: one.name }, "m"), h("b.cut.grow", {}, one.name)),
      may,
      h("button.ib", { type: "button", "aria-label": `Take ${one.name} off the list`, data: { key: "add" }, onclick: () => this.#save({ people: rights(others) }) }, icon("x")),
    );
  }

  #readers() {
    const { people, creator, visibility } = this.sharing;
    if (visibility === "workspace") return null;
    const row = (id, name, text) => h("li", {}, h("div.row", {}, avatar({ id, name }, "m"), h("b.cut.grow", {}, name), h("span.mut", {}, text)));
    return h("ul.rows", {}, creator ? row(creator.userId, creator.name, "began it") : null, ...people.map((one) => row(one.userId, one.name, one.right === "view" || one.role === "viewer" ? "may view" : "may write")));
  }

  async #save({ visibility = this.sharing.visibility, people = rights(this.sharing.people) }) {
    if (this.#busy) return;
    this.#busy = true;
    try {
      this.sharing = await api("PUT", `${this.path}/sharing`, { visibility, people });
    } catch (error) {
      this.shell.fail("Not changed", error);
    }
    this.#busy = false;
    this.draw();
  }

  // --- links ---------------------------------------------------------------------------------------------

  #links() {
    const { links, linksAllowed } = this.sharing;
    if (!linksAllowed) return h("section.links", {}, h("h3", {}, "Read-only link"), h("p.mut", {}, "This workspace allows none. An admin can change that on the members page."));
    const form = h(
      "form.inline",
      { onsubmit: (event) => this.#make(event) },
      h("label.sr", { for: "share-days" }, "How long it works"),
      h("select.in", { id: "share-days", name: "days", data: { key: "days" } }, ...DAYS.map(([value, label]) => h("option", { value }, label))),
      h("label.check", {}, h("input.checkbox.checkbox-sm", { type: "checkbox", name: "names", data: { key: "names" } }), h("span", {}, "Show names")),
      h("button.btn", { data: { key: "make" } }, "Make link"),
    );
    return h(
      "section.links",
      {},
      h("h3", {}, "Read-only link"),
      h("p.mut", {}, "Whoever has it reads what was said up to now, without an account. No instructions, tool data, tokens or cost."),
      this.made ? this.#once(this.made) : null,
      links.length ? h("ul.rows", {}, ...links.map((link) => this.#link(link))) : null,
      form,
    );
  }

  #once(link) {
    const field = h("input.in.mono", { value: link.url, readonly: true, "aria-label": "The new link", data: { key: "url" } });
    return h("div.once", {}, h("p", {}, h("b", {}, "Copy it now."), " It is not shown again."), h("div.inline", {}, field, h("button.btn", { type: "button", data: { key: "copy" }, onclick: () => this.#copy(link.url) }, icon("copy", "s"), "Copy")));
  }

  #link(link) {
    const until = link.expiresAt ? `until ${day(link.expiresAt)}` : "no end";
    const opened = link.opens === 0 ? "not opened yet" : link.opens === 1 ? "opened once" : `opened ${link.opens.toLocaleString("en")} times`;
    return h(
      "li",
      {},
      h("div.row", {}, icon("external-link"), h("span.cut.grow", {}, h("b.mono", {}, `…${link.lastFour}`), " ", h("span.mut", {}, `${until}, ${opened}`))),
      h("button.ib", { type: "button", title: `As of ${day(link.takenAt)}. Bring it up to date`, "aria-label": `Bring the link …${link.lastFour} up to date`, data: { key: `u-${link.id}` }, onclick: () => this.#refresh(link) }, icon("refresh-cw")),
      h("button.ib", { type: "button", title: "Revoke", "aria-label": `Revoke the link …${link.lastFour}`, data: { key: "make" }, onclick: () => this.#revoke(link) }, icon("trash-2")),
    );
  }

  async #make(event) {
    event.preventDefault();
    const fields = new FormData(event.target);
    try {
      this.made = await api("POST", `${this.path}/links`, { days: fields.get("days") ? Number(fields.get("days")) : null, names: fields.get("names") !== null });
    } catch (error) {
      this.shell.fail("No link was made", error);
      return;
    }
    await this.#again();
    this.body.querySelector('[data-key="url"]')?.select();
    this.body.querySelector('[data-key="copy"]')?.focus();
  }

  async #copy(url) {
    const done = await copyText(url);
    this.shell.say(done ? { kind: "ok", title: "Link copied" } : { kind: "bad", title: "Not copied", text: "The browser did not allow it." });
  }

  async #refresh(link) {
    try {
      await api("POST", `/api/links/${link.id}/refresh`);
      this.shell.say({ kind: "ok", title: "Up to date", text: "The link shows what was said up to now." });
    } catch (error) {
      this.shell.fail("Not brought up to date", error);
    }
    await this.#again();
  }

  async #revoke(link) {
    if (!(await revokeLink(this.shell, link))) return;
    if (this.made?.id === link.id) this.made = null;
    await this.#again();
  }

  async #again() {
    try {
      this.sharing = await api("GET", `${this.path}/sharing`);
    } catch (error) {
      this.shell.fail("Not shown", error);
      this.dialog.close();
      return;
    }
    this.draw();
  }
}

/** Asks, then ends it. @returns {Promise<boolean>} */
export async function revokeLink(shell, link) {
  if (!(await confirmDialog({ title: `Revoke the link …${link.lastFour}?`, text: "It opens nothing any more, at once and for good.", action: "Revoke", danger: true }))) return false;
  try {
    await api("DELETE", `/api/links/${link.id}`);
    return true;
  } catch (error) {
    shell.fail("Not revoked", error);
    return false;
  }
}

function rights(people) {
  return people.map(({ userId, right }) => ({ userId, right }));
}

function day(instant) {
  return new Date(instant).toLocaleDateString("en-GB", { day: "numeric", month: "short" });
}

/** Who can see this, in one sentence. */
export function sentence({ visibility, people, creator, memberCount, links }, { user, workspace }) {
  const name = (one) => (one.userId === user.id ? "you" : one.name);
  const named = [...new Set([creator ? name(creator) : null, ...(visibility === "shared" ? people.map(name) : [])].filter(Boolean))].sort((a, b) => (b === "you") - (a === "you"));
  const who =
    visibility === "workspace"
      ? memberCount === 1
        ? `Everyone in ${workspace.name} can see this`
        : `Everyone in ${workspace.name}, ${memberCount} people, can see this`
      : named.length === 1
        ? `Only ${named[0]} can see this`
        : `${list(named)} can see this`;
  const by = links.length ? `, and whoever has ${links.length === 1 ? "the link" : `one of ${links.length} links`} can read it as it was` : "";
  return `${who[0].toUpperCase()}${who.slice(1)}${by}.`;
}

function list(names) {
  const shown = names.length > 4 ? [...names.slice(0, 3), `${names.length - 3} others`] : names;
  return `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}
