/** Settings: who I am, how it looks, tokens for programs, keys of providers. Each form says what became of it. */
import { api } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";
import { h, icon } from "../lib/dom.js";
import { confirmDialog } from "./dialogs.js";
import { NotifySetting } from "./notify-setting.js";
import { revokeLink } from "./share-dialog.js";
import { applyTheme } from "./theme.js";

export class SettingsPage {
  constructor(shell) {
    this.shell = shell;
    this.main = document.getElementById("main");
    this.#profile(this.main.querySelector('[data-form="profile"]'));
    new NotifySetting(shell, this.main.querySelector("[data-notify]"));
    this.#tokens(this.main.querySelector('[data-form="token"]'));
    this.#keys(this.main.querySelector('[data-form="key"]'));
    this.main.addEventListener("click", (event) => {
      const button = event.target.closest("[data-action]");
      if (button?.dataset.action === "revoke") this.#revoke(button.closest("[data-token]"));
      if (button?.dataset.action === "remove-key") this.#removeKey(button.closest("[data-key]"));
      if (button?.dataset.action === "forget-standing") this.#forget(button.closest("[data-standing]"));
      if (button?.dataset.action === "revoke-link") this.#revokeLink(button.closest("[data-link]"));
    });
  }

  start() {}

  #profile(form) {
    const saved = form.querySelector("[data-saved]");
    form.addEventListener("input", () => (saved.textContent = ""));
    for (const choice of form.querySelectorAll('[name="theme"]')) choice.addEventListener("change", () => applyTheme(choice.value));
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const fields = new FormData(form);
      const body = Object.fromEntries(["name", "title", "timezone", "about", "theme"].map((name) => [name, fields.get(name) ?? ""]));
      body.shortcutsEnabled = fields.get("shortcutsEnabled") !== null;
      try {
        await api("PATCH", "/api/me", body);
        this.shell.keys.enabled = body.shortcutsEnabled;
        saved.textContent = "Saved.";
      } catch (error) {
        this.shell.fail("Not saved", error);
      }
    });
  }

  #tokens(form) {
    const once = this.main.querySelector("[data-new-token]");
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      const name = new FormData(form).get("name").trim();
      try {
        const created = await api("POST", "/api/tokens", { name });
        form.reset();
        const field = h("input.in.mono", { value: created.token, readonly: true, "aria-label": "The new token" });
        const copy = h("button.btn", { type: "button", onclick: async () => (await copyText(created.token)) && this.shell.say({ kind: "ok", title: "Token copied" }) }, icon("copy", "s"), "Copy");
        once.replaceChildren(h("p", {}, h("b", {}, "Copy it now."), " It is not shown again."), h("div.inline", {}, field, copy));
        once.hidden = false;
        field.select();
        this.#addRow("[data-tokens]", "[data-no-tokens]", h("li", { data: { token: created.id } }, h("div.row", {}, icon("key-round"), h("span.cut.grow", {}, h("b", {}, created.name), " ", h("span.mono.mut", {}, `nxs_…${created.lastFour ?? created.token.slice(-4)}`)), h("span.mut", {}, "never used")), h("button.ib", { type: "button", data: { action: "revoke" }, "aria-label": `Revoke ${created.name}` }, icon("trash-2"))));
      } catch (error) {
        this.shell.fail("No token was made", error);
      }
    });
  }

  async #revoke(row) {
    const name = row.querySelector("b").textContent;
    if (!(await confirmDialog({ title: `Revoke “${name}”?`, text: "Programs that use it are refused at once. This cannot be undone.", action: "Revoke", danger: true }))) return;
    try {
      await api("DELETE", `/api/tokens/${row.dataset.token}`);
      this.#removeRow(row, "[data-no-tokens]");
    } catch (error) {
      this.shell.fail("Not revoked", error);
    }
  }

  async #forget(row) {
    const tool = row.querySelector("[data-tool]").textContent;
    if (!(await confirmDialog({ title: `Ask again about ${tool}?`, text: "The next call waits for a person. What has run stays as it is.", action: "Ask again" }))) return;
    try {
      await api("DELETE", `/api/standing-approvals/${row.dataset.standing}`);
      this.#removeRow(row, "[data-no-standing]");
      this.shell.say({ kind: "ok", title: "Taken back", text: `${tool} asks again from the next call on.` });
    } catch (error) {
      this.shell.fail("Not taken back", error);
    }
  }

  async #revokeLink(row) {
    if (await revokeLink(this.shell, { id: row.dataset.link, lastFour: row.dataset.lastFour })) this.#removeRow(row, "[data-no-links]");
  }

  #keys(form) {
    form?.addEventListener("submit", async (event) => {
      event.preventDefault();
      const fields = new FormData(form);
      const body = { provider: fields.get("provider"), secret: fields.get("secret"), scope: fields.get("scope") };
      try {
        const key = await api("POST", "/api/provider-keys", body);
        form.querySelector("[name=secret]").value = "";
        this.main.querySelector(`[data-key="${CSS.escape(body.provider)}"][data-scope="${body.scope}"]`)?.remove();
        this.#addRow("[data-keys]", "[data-no-keys]", h("li", { data: { key: body.provider, scope: body.scope, id: key.id ?? "" } }, h("div.row", {}, icon("key-round"), h("span.cut.grow", {}, h("b", {}, body.provider), " ", h("span.mono.mut", {}, `…${key.lastFour}`)), h("span.mut", {}, body.scope === "me" ? "yours" : "the workspace's")), h("button.ib", { type: "button", data: { action: "remove-key" }, "aria-label": `Remove the key of ${body.provider}` }, icon("trash-2"))));
        this.shell.say({ kind: "ok", title: "Key saved", text: `Agents of ${body.provider} can answer now.` });
      } catch (error) {
        this.shell.fail("The key was not saved", error);
      }
    });
  }

  async #removeKey(row) {
    const { key, scope } = row.dataset;
    if (!(await confirmDialog({ title: `Remove the key of ${key}?`, text: "Agents that need it stop answering.", action: "Remove", danger: true }))) return;
    try {
      await api("DELETE", `/api/provider-keys/${encodeURIComponent(key)}?scope=${scope}`);
      this.#removeRow(row, "[data-no-keys]");
    } catch (error) {
      this.shell.fail("Not removed", error);
    }
  }

  #addRow(list, none, row) {
    this.main.querySelector(list).append(row);
    this.main.querySelector(none).hidden = true;
  }

  #removeRow(row, none) {
    const list = row.parentElement;
    row.remove();
    if (!list.childElementCount) this.main.querySelector(none).hidden = false;
  }
}
