/**
 * `<nexus-prompt-input>`: where a person writes.
 *
 * Attributes: `agent` (chosen agent's id), `placeholder`, `rows`. `keepDraft(name)`: unsent text outlives the page.
 * Properties: `agents`, `commands` ({name, description, icon?}[]), `status` (ready|streaming|error), `usage`,
 * `readonly`, `upload` ((file, onProgress) → Promise<{fileId, name}>), `forget` ((fileId) → void), `value`.
 * Events: `prompt-send` {text, files, agentId} (cancel it to keep the text), `prompt-stop`, `prompt-typing` {typing},
 * While a text is written together (`share`): `prompt-edit` {text}, `prompt-select` {start, end}; it is no draft of one's own.
 * `prompt-steer` {text} (to the agent at work; `steerable` offers it), `prompt-agent` {agentId}, `prompt-command` {name} (cancel it when the page has done it itself).
 */
import { avatar, emit, h, icon, setText } from "../lib/dom.js";
import { KeptDraft } from "../lib/kept-draft.js";
import { Attachments } from "./attachments.js";
import { PromptMenus } from "./prompt-menus.js";

/** Typing is over this long after the last key, ms. */
const TYPING_MS = 4000;
const LINES = 8;

export class NexusPromptInput extends HTMLElement {
  #agents = [];
  #status = "ready";
  #readonly = false;
  #steerable = false;
  #typing = null;
  #upload = null;
  #draft = null;
  #shared = false;
  #commands = [];

  connectedCallback() {
    if (this.field) return;
    const rows = this.getAttribute("rows") ?? "1";
    const fieldId = `${this.id || "prompt"}-field`;
    this.field = h("textarea", { id: fieldId, rows, placeholder: this.getAttribute("placeholder") ?? "Write a message", enterkeyhint: "send", "aria-autocomplete": "list", autocomplete: "off", maxlength: "200000" });
    this.attachments = new Attachments({ changed: () => this.#update() });
    this.picker = h("button.pick", { type: "button", "aria-haspopup": "listbox", onclick: () => this.menus.pick() });
    this.attach = h("button.ib", { type: "button", "aria-label": "Attach an image", title: "Attach an image", hidden: true, onclick: () => this.attachments.choose() }, icon("paperclip"));
    this.counter = document.createElement("nexus-token-counter");
    this.counter.className = "only-l";
    this.counter.hidden = true;
    this.now = h("button.btn.sm.quiet.now", { type: "button", hidden: true, title: "Say it to the agent while it works (Ctrl + Enter)", onclick: () => this.#steer() }, "Tell it now");
    this.most = h("span.grow.most.cut");
    this.send = h("button.send", { type: "button", onclick: () => this.#pressed() });
    this.replaceChildren(
      h("label.sr", { for: fieldId }, "Message"),
      this.attachments.element,
      this.field,
      h("div.pi", {}, this.attach, this.picker, this.most, this.counter, this.now, this.send),
    );
    this.menus = new PromptMenus({
      host: this,
      field: this.field,
      picker: this.picker,
      choose: (id) => this.#choose(id),
      run: (item) => this.#runCommand(item),
      mention: (name, typed) => this.#insertMention(name, typed),
    });
    this.field.addEventListener("input", () => this.#input());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.field.addEventListener("blur", () => setTimeout(() => this.menus.blurred(), 150));
    this.field.addEventListener("paste", (event) => this.attachments.take(event.clipboardData?.files, event));
    this.addEventListener("dragover", (event) => this.#drag(event, true));
    this.addEventListener("dragleave", () => this.classList.remove("drop"));
    this.addEventListener("drop", (event) => this.#drag(event, false));
    this.moved = () => this.#shared && document.activeElement === this.field && this.#selected();
    document.addEventListener("selectionchange", this.moved);
    this.addEventListener("click", (event) => event.target === this && this.field.focus());
    this.#drawPicker();
    this.#grow();
    this.#update();
    if (this.hasAttribute("autofocus") && matchMedia("(pointer: fine)").matches) this.field.focus();
  }

  disconnectedCallback() {
    clearTimeout(this.#typing);
    document.removeEventListener("selectionchange", this.moved);
    this.menus.close();
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

  /** What the message would cost at most. @param {{text: string, more: string, kind: string}|null} words */
  set atMost(words) {
    setText(this.most, words?.text ?? "");
    this.most.title = words?.more ?? "";
    this.most.classList.toggle("warn", words?.kind === "warn");
  }

  focus() {
    this.field.focus();
  }

  /** Puts a sent text back, e.g. after a refusal. */
  restore(text, files = []) {
    if (!this.field.value) this.value = text;
    this.attachments.restore(files);
  }

  /** Sends what stands here, as Enter does. */
  submit() {
    this.#submit();
  }

  /** A button of the page, beside those that are always there. */
  addTool(button) {
    this.picker.after(button);
  }

  // --- a text that several people write ------------------------------------------------------------------

  /** From here on the field holds a text that others change too; one's own draft waits where it is kept. */
  share(text) {
    this.#shared = true;
    this.field.value = text;
    this.#grow();
    this.#update();
    this.#selected();
  }

  /** Others changed the text by this splice: the cursor stays at its words. */
  replace(text, place) {
    const { selectionStart: start, selectionEnd: end, selectionDirection: direction, scrollTop } = this.field;
    this.field.value = text;
    this.field.setSelectionRange(place(start), place(end), direction);
    this.field.scrollTop = scrollTop;
    this.#grow();
    this.#update();
  }

  /** Back to a text of one's own: this one, or the draft that was left. */
  unshare(text = null) {
    this.#shared = false;
    this.value = text ?? this.#draft?.text ?? "";
    this.#stopTyping();
  }

  #selected() {
    emit(this, "prompt-select", { start: this.field.selectionStart, end: this.field.selectionEnd });
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
    if (this.menus.key(event)) return;
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
    if (!agentId) return this.menus.pick();
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

  get commands() {
    return this.#commands;
  }

  /** They may come after somebody began to write one. */
  set commands(commands) {
    this.#commands = commands;
    if (this.field && this.field === document.activeElement) this.menus.suggest();
  }

  // --- writing -------------------------------------------------------------------------------------------

  #input(byPerson = true) {
    this.#grow();
    if (this.#shared) emit(this, "prompt-edit", { text: this.field.value });
    else if (this.#draft) this.#draft.text = this.field.value;
    this.#update();
    if (!byPerson) return;
    this.menus.suggest();
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
    this.now.hidden = !this.#steerable || this.#shared || this.#readonly || !this.field.value.trim() || !this.attachments.empty;
    this.send.disabled = this.#readonly || (!stop && (empty || this.attachments.busy));
  }

  /** @param {string} name one per conversation */
  keepDraft(name) {
    this.#draft = new KeptDraft(name);
    const draft = this.#draft.text;
    if (draft && !this.field.value) this.value = draft;
  }
}

customElements.define("nexus-prompt-input", NexusPromptInput);
