/**
 * `<nexus-tool-call>`: one call as a row: state, name, what it was asked, time. Opens to input and result. A failed or
 * unknown one opens itself. A row keeps its place and its height when its state changes.
 *
 * Property `item`: `{call, startedAt, endedAt}` of a run; `progress`, set before it: what a running call tells of itself. `told`, set before it too: whether the agent heard how it ended. `canRetry` offers to ask for a failed call again: event
 * `message-action` {action: "retry-tool", call}.
 */
import { emit, h, icon, setText, stateMark } from "../lib/dom.js";
import { bytes, inWords, seconds } from "../lib/format.js";
import { tick } from "../lib/schedule.js";

const STATES = {
  PENDING: { kind: "off", icon: "clock", word: "Pending", loud: true },
  RUNNING: { kind: "run", icon: "loader-circle", word: "Running", spin: true },
  COMPLETED: { kind: "ok", icon: "circle-check", word: "Done" },
  FAILED: { kind: "bad", icon: "circle-x", word: "Failed", loud: true },
  UNKNOWN: { kind: "unk", icon: "circle-help", word: "Unknown", loud: true },
};
const UNKNOWN_TEXT = "The server stopped while this ran. Nexus does not know if it took effect, so it did not repeat it.";
const TOKENS = /("(?:\\.|[^"\\])*")(\s*:)?|(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)|\b(?:true|false|null)\b/g;
/** More JSON than this is shown cut; the API has it whole. */
const MOST = 40_000;

export class NexusToolCall extends HTMLElement {
  #item = null;
  #touched = false;
  #stop = null;
  #canRetry = false;
  #progress = null;
  told = true;

  disconnectedCallback() {
    this.#stop?.();
    this.#stop = null;
  }

  get item() {
    return this.#item;
  }

  set item(item) {
    if (item === this.#item) return;
    const before = this.#item?.call.status;
    if (!this.#item) this.#build();
    this.#item = item;
    const { call } = item;
    if (before !== call.status) this.#showState(call.status);
    setText(this.querySelector(".nm"), call.toolName);
    this.#tell(call);
    const running = call.status === "RUNNING";
    if (running && !this.#stop) this.#stop = tick((now) => this.#time(now));
    if (!running && this.#stop) {
      this.#stop();
      this.#stop = null;
    }
    if (this.firstElementChild.open) this.#fill();
  }

  /** @param {{percentage?: number|null, message?: string}|null} progress */
  set progress(progress) {
    if (progress === this.#progress) return;
    this.#progress = progress;
    if (this.#item) this.#tell(this.#item.call);
  }

  /** What it was asked, in words; while it runs what it says; why it failed. */
  #tell(call) {
    const said = call.status === "RUNNING" ? this.#progress?.message : "";
    setText(this.querySelector(".arg"), said || (call.status === "FAILED" ? errorText(call) : inWords(call.input)));
    this.#time(Date.now());
  }

  set canRetry(canRetry) {
    if (canRetry === this.#canRetry) return;
    this.#canRetry = canRetry;
    if (this.firstElementChild?.open) this.#fill();
  }

  #build() {
    const summary = h("summary", { onclick: () => (this.#touched = true) }, h("span.st"), h("span.nm"), h("span.arg.cut.grow"), h("span.ms"), icon("chevron-right", "s chev"));
    const details = h("details", { ontoggle: () => details.open && this.#fill() }, summary, h("div.body"));
    this.replaceChildren(details);
  }

  #showState(status) {
    this.setAttribute("status", status);
    const state = STATES[status] ?? STATES.UNKNOWN;
    this.querySelector("summary > .st").replaceWith(stateMark(state.kind, state.icon, state.word, state));
    if (!this.#touched && (status === "FAILED" || status === "UNKNOWN")) this.firstElementChild.open = true;
  }

  #time(now) {
    const { call, startedAt, endedAt } = this.#item;
    let ms = call.durationMs ?? null;
    if (ms === null && call.status === "RUNNING") ms = now - startedAt;
    if (ms === null && endedAt && call.status !== "PENDING" && endedAt > startedAt) ms = endedAt - startedAt;
    const percent = call.status === "RUNNING" ? this.#progress?.percentage : null;
    const part = typeof percent === "number" ? `${Math.round(percent)} % · ` : "";
    setText(this.querySelector(".ms"), part + (ms === null ? "–" : seconds(ms)));
  }

  /** Input and result are written only when somebody looks. */
  #fill() {
    const { call } = this.#item;
    const body = this.querySelector(".body");
    const parts = [];
    if (call.status === "FAILED") {
      const again = this.#canRetry ? h("button.btn.sm", { type: "button", onclick: () => emit(this, "message-action", { action: "retry-tool", call }) }, "Try again") : null;
      parts.push(note("triangle-alert", `${errorText(call)}${this.told ? " The agent was told." : ""}`, again));
    }
    if (call.status === "UNKNOWN") parts.push(note("circle-help", UNKNOWN_TEXT));
    const panes = [pane("Input", call.input)];
    if (call.status === "COMPLETED") panes.push(pane("Result", call.result, true));
    else if (call.status === "RUNNING") panes.push(h("div", {}, h("p.cap", {}, "Result"), h("p.mut", {}, "Not there yet")));
    parts.push(h(`div.io${panes.length === 1 ? ".one" : ""}`, {}, ...panes));
    body.replaceChildren(...parts);
  }
}

function errorText(call) {
  const text = (typeof call.error === "string" ? call.error : call.error?.message) || "The tool failed.";
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

function note(iconName, text, button = null) {
  return h("div.note", {}, icon(iconName, "s"), h("span.grow", {}, text), button);
}

function pane(title, value, withSize = false) {
  const text = JSON.stringify(value ?? null, null, 2) ?? "null";
  const size = withSize ? h("span", {}, bytes(new Blob([text]).size)) : null;
  return h("div", {}, h("p.cap", {}, h("span", {}, title), size), jsonPre(text.length > MOST ? `${text.slice(0, MOST)}\n…` : text));
}

/** JSON in colours, made of nodes: nothing in a result can become markup. */
export function jsonPre(text) {
  const pre = h("pre", { tabindex: "0" });
  let from = 0;
  for (const match of text.matchAll(TOKENS)) {
    if (match.index > from) pre.append(text.slice(from, match.index));
    const kind = match[1] ? (match[2] ? "k" : "s1") : match[3] ? "n1" : "k0";
    pre.append(h(`span.${kind}`, {}, match[1] ?? match[0]));
    if (match[2]) pre.append(match[2]);
    from = match.index + match[0].length;
  }
  pre.append(text.slice(from));
  return pre;
}

customElements.define("nexus-tool-call", NexusToolCall);
