/**
 * `<nexus-prompt-input>`: where a person writes.
 *
 * Attributes: `agent` (chosen agent's id), `placeholder`, `rows`. `keepDraft(name)`: unsent text outlives the page.
 * Properties: `agents`, `commands` ({name, description, icon?}[]), `status` (ready|streaming|error), `usage`,
 * `readonly`, `upload` ((file, onProgress) → Promise<{fileId, name}>), `forget` ((fileId) → void), `value`.
 * Events: `prompt-send` {text, files, agentId} (cancel it to keep the text), `prompt-stop`, `prompt-typing` {typing},
 * `prompt-steer` {text} (to the agent at work; `steerable` offers it), `prompt-agent` {agentId}, `prompt-command` {name} (cancel it when the page has done it itself).
 */
import { avatar, emit, h, icon } from "../lib/dom.js";
import { Attachments } from "./attachments.js";
import { agentItems, Menu } from "./menu.js";

/** Typing is over this long after the last key, ms. */
const TYPING_MS = 4000;
const LINES = 8;

export class NexusPromptInput extends HTMLElement {
  #agents = [];
  #status = "ready";
  #readonly = false;
  #steerable = false;
  #menu = null;
  #menuKind = null;
  #typing = null;
  #upload = null;
  #draftKey = null;
  commands = [];

  connectedCallback() {
    if (this.field) return;
    const rows = this.getAttribute("rows") ?? "1";
    const fieldId = `${this.id || "prompt"}-field`;
    this.field = h("textarea", { id: fieldId, rows, placeholder: this.getAttribute("placeholder") ?? "Write a message", enterkeyhint: "send", "aria-autocomplete": "list", autocomplete: "off", maxlength: "200000" });
    this.attachments = new Attachments({ changed: () => this.#update() });
    this.picker = h("button.pick", { type: "button", "aria-haspopup": "listbox", onclick: () => this.openPicker() });
    this.attach = h("button.ib", { type: "button", "aria-label": "Attach an image", title: "Attach an image", hidden: true, onclick: () => this.attachments.choose() }, icon("paperclip"));
    this.counter = document.createElement("nexus-token-counter");
    this.counter.className = "only-l";
    this.counter.hidden = true;
    this.now = h("button.btn.sm.quiet.now", { type: "button", hidden: true, title: "Say it to the agent while it works (Ctrl + Enter)", onclick: () => this.#steer() }, "Tell it now");
    this.send = h("button.send", { type: "button", onclick: () => this.#pressed() });
    this.replaceChildren(
      h("label.sr", { for: fieldId }, "Message"),
      this.attachments.element,
      this.field,
      h("div.pi", {}, this.attach, this.picker, h("span.grow"), this.counter, this.now, this.send),
    );
    this.field.addEventListener("input", () => this.#input());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("blur", () => setTimeout(() => this.#menuKind !== "agents" && this.#menu?.close(), 150));
    this.field.addEventListener("paste", (event) => this.attachments.take(event.clipboardData?.files, event));
    this.addEventListener("dragover", (event) => this.#drag(event, true));
    this.addEventListener("dragleave", () => this.classList.remove("drop"));
    this.addEventListener("drop", (event) => this.#drag(event, false));
    this.addEventListener("click", (event) => event.target === this && this.field.focus());
    this.#drawPicker();
    this.#grow();
    this.#update();
    if (this.hasAttribute("autofocus") && matchMedia("(pointer: fine)").matches) this.field.focus();
  }

  disconnectedCallback() {
    clearTimeout(this.#typing);
    this.#menu?.close();
  }

  get value() {
    return this.field.value;
  }

  set value(text) {
    this.field.value = text;
    this.#input(false);
  }

  get agents() {
    return this.#agents;
  }

  set agents(agents) {
    this.#agents = agents;
    this.#drawPicker();
  }

  get agentId() {
    return this.getAttribute("agent") ?? "";
  }

  set agentId(id) {
    this.setAttribute("agent", id);
    this.#drawPicker();
    this.#update();
  }

  get status() {
    return this.#status;
  }

  /** @param {"ready"|"streaming"|"error"} status */
  set status(status) {
    if (status === this.#status) return;
    this.#status = status;
    this.setAttribute("status", status);
    this.#update();
  }

  /** Whether the agent is at work here and can be told something. */
  set steerable(steerable) {
    if (steerable === this.#steerable) return;
    this.#steerable = steerable;
    this.#update();
  }

  set readonly(readonly) {
    this.#readonly = readonly;
    this.field.disabled = readonly;
    if (readonly) this.field.placeholder = "You may read this workspace, not write in it.";
    this.#update();
  }

  set upload(upload) {
    this.#upload = upload;
    this.attachments.upload = upload;
    this.attach.hidden = !upload;
  }

  /** Called with the id of an uploaded file that was taken out again. */
  set forget(forget) {
    this.attachments.forget = forget;
  }

  set usage(usage) {
    this.counter.usage = usage;
  }

  focus() {
    this.field.focus();
  }

  /** Puts a sent text back, e.g. after a refusal. */
  restore(text, files = []) {
    if (!this.field.value) this.value = text;
    this.attachments.restore(files);
  }

  openPicker() {
    if (this.#menu) return this.#menu.close();
    this.picker.setAttribute("aria-expanded", "true");
    this.#open("agents", "Agents", this.picker, (item) => this.#choose(item.id));
    this.#menu.show(agentItems(this.#agents, this.agentId));
    const keys = (event) => this.#menu?.key(event);
    this.picker.addEventListener("keydown", keys);
    this.#menu.closed = () => {
      this.picker.removeEventListener("keydown", keys);
      this.picker.setAttribute("aria-expanded", "false");
      this.#menu = null;
      this.#menuKind = null;
    };
    this.picker.focus();
  }

  #choose(id) {
    this.agentId = id;
    emit(this, "prompt-agent", { agentId: id });
    this.field.focus();
  }

  #drawPicker() {
    if (!this.picker) return;
    const agent = this.#agents.find((one) => one.id === this.agentId);
    this.picker.hidden = !this.#agents.length;
    this.picker.setAttribute("aria-label", `Agent: ${agent?.name ?? "none"}`);
    this.picker.setAttribute("aria-expanded", "false");
    this.picker.replaceChildren(avatar({ name: agent?.name ?? "Agent", kind: "agent", icon: agent?.icon }, "sm"), h("span.cut", {}, agent?.name ?? "Choose an agent"), icon("chevron-down", "s"));
  }

  // --- keys ----------------------------------------------------------------------------------------------

  #key(event) {
    if (event.isComposing || event.keyCode === 229) return; // the Enter that ends a Japanese or Chinese word
    if (this.#menu && this.#menu.key(event)) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !this.now.hidden) {
      event.preventDefault();
      this.#steer();
    } else if (event.key === "Enter" && !event.shiftKey && !event.altKey && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      this.#submit();
    } else if (event.key === "Escape" && this.#status === "streaming" && !this.field.value) {
      event.preventDefault();
      event.stopPropagation();
      emit(this, "prompt-stop");
    }
  }

  #pressed() {
    if (this.#status === "streaming" && !this.field.value.trim() && this.attachments.empty) emit(this, "prompt-stop");
    else this.#submit();
  }

  /** To the agent that is at work, in place of behind its answer. */
  #steer() {
    const text = this.field.value.trim();
    if (!text || !emit(this, "prompt-steer", { text })) return;
    this.value = "";
    this.#stopTyping();
    this.field.focus();
  }

  #submit() {
    const text = this.field.value.trim();
    if ((!text && this.attachments.empty) || this.#readonly || this.attachments.busy) return;
    const mention = this.#mentioned(text);
    const agentId = mention?.id ?? this.agentId;
    if (!agentId) return this.openPicker();
    if (!emit(this, "prompt-send", { text, files: this.attachments.files, agentId })) return;
    this.attachments.clear();
    this.value = "";
    this.#stopTyping();
    this.field.focus();
  }

  /** A message that begins with `@Name` goes to that agent. */
  #mentioned(text) {
    if (!text.startsWith("@")) return null;
    const rest = text.slice(1).toLowerCase();
    return this.#agents.filter((agent) => agent.isAvailable !== false).sort((a, b) => b.name.length - a.name.length).find((agent) => rest.startsWith(agent.name.toLowerCase()) || rest.split(/\s/)[0] === agent.id);
  }

  // --- writing -------------------------------------------------------------------------------------------

  #input(byPerson = true) {
    this.#grow();
    this.#saveDraft();
    this.#update();
    if (!byPerson) return;
    this.#suggest();
    if (!this.field.value) return this.#stopTyping();
    if (!this.#typing) emit(this, "prompt-typing", { typing: true });
    clearTimeout(this.#typing);
    this.#typing = setTimeout(() => this.#stopTyping(), TYPING_MS);
  }

  #stopTyping() {
    if (!this.#typing) return;
    clearTimeout(this.#typing);
    this.#typing = null;
    emit(this, "prompt-typing", { typing: false });
  }

  /** Where the browser cannot size a field by its content (`field-sizing`), its height is set. */
  #grow() {
    if (CSS.supports("field-sizing", "content")) return;
    this.field.style.setProperty("height", "auto");
    const line = parseFloat(getComputedStyle(this.field).lineHeight) || 22;
    this.field.style.setProperty("height", `${Math.min(this.field.scrollHeight, line * LINES + 13)}px`);
  }

  /** `/` at the beginning offers commands, `@` before a word offers agents. */
  #suggest() {
    const before = this.field.value.slice(0, this.field.selectionStart);
    const command = /^\/([\w-]*)$/.exec(before);
    const mention = /(?:^|\s)@([\p{L}\w-]*)$/u.exec(before);
    if (command) return this.#offer("commands", "Commands", this.#commandItems(command[1]), (item) => this.#runCommand(item));
    if (mention) {
      const wanted = mention[1].toLowerCase();
      const items = agentItems(this.#agents.filter((agent) => agent.isAvailable !== false && `${agent.name} ${agent.id}`.toLowerCase().includes(wanted)), null);
      return this.#offer("mentions", "Agents", items, (item) => this.#insertMention(item.label, mention[1].length));
    }
    this.#menu?.close();
  }

  #commandItems(wanted) {
    const matching = this.commands.filter((command) => command.name.startsWith(wanted.toLowerCase()));
    return matching.map((command) => ({ id: command.name, label: `/${command.name}`, detail: command.description, group: "Commands", icon: command.icon ?? "slash", command }));
  }

  #offer(kind, label, items, choose) {
    if (!items.length) return this.#menu?.close();
    if (this.#menuKind !== kind) {
      this.#menu?.close();
      this.#open(kind, label, this.field, choose);
    }
    this.#menu.choose = choose;
    this.#menu.show(items);
  }

  #open(kind, label, owner, choose) {
    this.#menuKind = kind;
    this.#menu = new Menu({
      host: this,
      owner,
      label,
      choose,
      closed: () => {
        this.#menu = null;
        this.#menuKind = null;
      },
    });
  }

  #runCommand(item) {
    if (!emit(this, "prompt-command", { name: item.id })) {
      this.value = "";
      return;
    }
    this.value = `/${item.id} `;
    this.field.focus();
    if (!item.command.takesText) this.#submit();
  }

  #insertMention(name, typed) {
    const at = this.field.selectionStart;
    this.field.setRangeText(`${name} `, at - typed, at, "end");
    this.#input();
    this.field.focus();
  }

  #drag(event, over) {
    if (!this.#upload || ![...(event.dataTransfer?.types ?? [])].includes("Files")) return;
    event.preventDefault();
    this.classList.toggle("drop", over);
    if (!over) this.attachments.take(event.dataTransfer.files);
  }

  // --- how it looks --------------------------------------------------------------------------------------

  #update() {
    if (!this.send) return;
    const empty = !this.field.value.trim() && this.attachments.empty;
    const stop = this.#status === "streaming" && empty;
    const key = stop ? "stop" : "send";
    if (this.send.dataset.is !== key) {
      this.send.dataset.is = key;
      this.send.classList.toggle("stop", stop);
      this.send.setAttribute("aria-label", stop ? "Stop the answer (Esc)" : "Send");
      this.send.title = stop ? "Stop the answer (Esc)" : "Send (Enter)";
      this.send.replaceChildren(stop ? h("span.block") : icon("arrow-up"));
    }
    this.now.hidden = !this.#steerable || this.#readonly || !this.field.value.trim() || !this.attachments.empty;
    this.send.disabled = this.#readonly || (!stop && (empty || this.attachments.busy));
  }

  /** @param {string} name one per conversation */
  keepDraft(name) {
    this.#draftKey = `nexus.draft.${name}`;
    try {
      const draft = localStorage.getItem(this.#draftKey);
      if (draft && !this.field.value) this.value = draft;
    } catch {
      // storage is forbidden: there is no draft
    }
  }

  #saveDraft() {
    if (!this.#draftKey) return;
    try {
      if (this.field.value) localStorage.setItem(this.#draftKey, this.field.value);
      else localStorage.removeItem(this.#draftKey);
    } catch {
      // storage is full or switched off: the draft lives as long as the page
    }
  }
}

customElements.define("nexus-prompt-input", NexusPromptInput);
