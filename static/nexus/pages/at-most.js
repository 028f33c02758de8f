/**
 * What the message that is being written would cost at most, in the composer's own line: where a budget applies to
 * it, or always where somebody asked for it with `/cost`. Nothing moves when it comes or goes.
 */
import { api } from "../lib/api.js";
import { count, usd } from "../lib/format.js";

/** So long nobody typed. */
const PAUSE_MS = 700;
/** So long a list of budgets is believed. */
const FRESH_MS = 60_000;
const ALWAYS = "nexus.prices";

/**
 * @param {object} told by `/api/invoke/preview`
 * @param {boolean} always also where it costs nothing
 * @returns {{text: string, more: string, kind: string}} an empty text where there is nothing to say
 */
export function atMostWords(told, always = false) {
  if (told.refusal === "price_unknown") return { text: `“${told.budget}” refuses models without a price`, more: "An admin can set a price for the model, or a ceiling price for the budget.", kind: "warn" };
  if (told.refusal) return { text: `No room in “${told.budget}”`, more: `The budget “${told.budget}” has no room for this message now. It would be refused.`, kind: "warn" };
  if (told.worstCase === null) return { text: always ? "No price is known" : "", more: "", kind: "" };
  if (Number(told.worstCase) === 0) return { text: always ? "Free" : "", more: "", kind: "" };
  const prompt = `The prompt has about ${count(told.promptTokens)} tokens (${usd(told.promptCost)}), the answer ${count(told.affordableTokens)} at most.`;
  if (told.budget) return { text: `Shorter answer: little is left of “${told.budget}”`, more: `${prompt} Whole it would cost ${usd(told.worstCase)} at most.`, kind: "warn" };
  return { text: `${usd(told.worstCase)} at most`, more: `${prompt} Most messages cost far less.`, kind: "" };
}

export class AtMost {
  #timer = null;
  #turn = 0;
  #budgets = [];
  #read = 0;

  /** @param {import("./shell.js").Shell} shell @param {HTMLElement} input `nexus-prompt-input` */
  constructor(shell, input) {
    this.shell = shell;
    this.input = input;
    input.addEventListener("input", () => this.#later());
    input.addEventListener("prompt-agent", () => this.#later());
    input.addEventListener("prompt-send", () => this.#hide());
    shell.client.addEventListener("frame", ({ detail }) => {
      if (detail.frame.type === "budget.warning") this.#read = 0;
    });
  }

  get always() {
    return localStorage.getItem(ALWAYS) === "1";
  }

  /** From now on always, or only where a budget applies. */
  toggle() {
    const always = !this.always;
    localStorage.setItem(ALWAYS, always ? "1" : "");
    this.shell.say({ kind: "ok", title: always ? "Prices are shown while you write" : "Prices are shown where a budget applies" });
    this.#hide();
  }

  #hide() {
    this.#turn += 1;
    clearTimeout(this.#timer);
    this.input.atMost = null;
  }

  #later() {
    clearTimeout(this.#timer);
    const text = this.input.value.trim();
    if (this.shell.readonly || text.startsWith("/") || (!text && this.input.attachments.empty)) return this.#hide();
    this.#timer = setTimeout(() => this.#look(), PAUSE_MS);
  }

  async #look() {
    const turn = ++this.#turn;
    try {
      if (!this.always && !(await this.#applies())) return this.#show(turn, null);
      this.#show(turn, atMostWords(await api("POST", "/api/invoke/preview", this.#message()), this.always));
    } catch {
      this.#show(turn, null); // it is a help, no promise: sending says what is wrong
    }
  }

  #show(turn, words) {
    if (turn === this.#turn) this.input.atMost = words?.text ? words : null;
  }

  /** Whether a budget holds this person, this agent or this conversation. */
  async #applies() {
    if (Date.now() - this.#read > FRESH_MS) {
      this.#budgets = (await api("GET", "/api/budgets")).items;
      this.#read = Date.now();
    }
    const mine = { user: this.shell.user.id, agent: this.input.agentId, conversation: this.shell.client.conversationId };
    return this.#budgets.some((one) => one.scope === "workspace" || (one.scopeId !== null && one.scopeId === mine[one.scope]));
  }

  #message() {
    const files = this.input.attachments.files;
    const text = this.input.value;
    const message = files.length ? [...(text ? [{ type: "text", text }] : []), ...files.map((file) => ({ type: "image", fileId: file.fileId }))] : text;
    return { agentId: this.input.agentId, message, conversationId: this.shell.client.conversationId ?? null };
  }
}
