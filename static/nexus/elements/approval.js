/**
 * `<nexus-approval>`: a call that waits for people, and afterwards one line that says who decided.
 *
 * Property `view`: `{approval, input, agent, me, role, canAct}`. Event `message-action`
 * {action: "decide", toolId, decision: "approve"|"deny"|"answer", note?, answer?, remember?}. Those who may not decide
 * see who may, and no buttons. What somebody writes into it stays while others decide elsewhere.
 */
import { emit, h, setText, stateMark } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { drawUnpressed } from "../lib/press.js";
import { tick } from "../lib/schedule.js";
import { jsonPre } from "./tool-call.js";

const RANK = { viewer: 0, member: 1, admin: 2, owner: 3 };
const WHO = { member: "Any member can decide", admin: "Admins and owners can decide", owner: "Owners can decide" };
const MOST_ROWS = 12;
const LONG = 240;

export class NexusApproval extends HTMLElement {
  #view = null;
  #key = "";
  #stop = null;

  disconnectedCallback() {
    this.#stop?.();
    this.#stop = null;
  }

  connectedCallback() {
    if (this.#view) this.#tick();
  }

  get view() {
    return this.#view;
  }

  set view(view) {
    this.#view = view;
    const { approval } = view;
    this.dataset.tool = approval.toolId;
    this.id = `approval-${approval.toolId}`;
    this.setAttribute("status", approval.status);
    const key = JSON.stringify([approval.status, approval.votes, view.role, view.canAct, view.agent?.name]);
    if (key !== this.#key) {
      this.#key = key;
      drawUnpressed(this, this.#draw);
    }
    this.#tick();
  }

  #draw = () => {
    if (this.#view.approval.status === "open") this.#card();
    else this.#line();
  };

  #tick() {
    const open = this.#view.approval.status === "open";
    if (open && !this.#stop) this.#stop = tick((now) => this.#left(now));
    if (!open && this.#stop) {
      this.#stop();
      this.#stop = null;
    }
    if (open) this.#left(Date.now());
  }

  #left(now) {
    const left = this.querySelector(".left");
    if (left) setText(left, timeLeft(Date.parse(this.#view.approval.expiresAt) - now));
  }

  #card() {
    const { approval, input, agent } = this.#view;
    const question = approval.kind === "question";
    const kept = this.querySelector("textarea, input")?.value ?? "";
    const titled = `title-${approval.toolId}`;
    const name = agent?.name ?? approval.agentId;
    const title = question ? [`${name} asks a question`] : [`${name} asks to run `, h("span.mono", {}, approval.toolName)];
    const header = h("header", {}, stateMark("warn", question ? "circle-help" : "shield-alert", question ? "Needs an answer" : "Needs approval"), h("span.grow", { id: titled }, ...title), h("span.mut.num.left"));
    this.setAttribute("role", "group");
    this.setAttribute("aria-labelledby", titled);
    this.replaceChildren(header, question ? asked(input) : details(input), this.#votes(), this.#footer(question));
    const field = this.querySelector("textarea, input");
    if (field && kept) field.value = kept;
  }

  /** Who said what so far, where one yes is not enough. */
  #votes() {
    const { approval } = this.#view;
    const yes = approval.votes.filter((vote) => vote.decision === "approve");
    if (approval.quorum < 2) return "";
    const names = yes.map((vote) => vote.user?.name ?? "Somebody").join(", ");
    return h("p.votes", {}, h("b.num", {}, `${yes.length} of ${approval.quorum} approvals`), names ? h("span.mut", {}, names) : null);
  }

  #footer(question) {
    const { approval, me, role, canAct } = this.#view;
    const may = canAct && (RANK[role] ?? 0) >= RANK[approval.role];
    const who = h("span.mut", {}, WHO[approval.role]);
    if (!may) return h("footer", {}, who);
    if (approval.votes.some((vote) => vote.user?.id === me?.id && vote.decision === "approve")) {
      return h("footer", {}, h("span.st.ok", {}, "You approved."), this.#button("Deny instead", "quiet", () => this.#say("deny")), who);
    }
    if (question) return this.#answering(who);
    const note = h("input.in", { type: "text", maxlength: "2000", "aria-label": "Note", placeholder: "Note, if you like" });
    const buttons = [this.#button("Allow once", "primary", () => this.#say("approve")), this.#button("Always allow here", "", () => this.#say("approve", { remember: "conversation" }))];
    if (RANK[role] >= RANK.admin) buttons.push(this.#button("Always allow", "quiet", () => this.#say("approve", { remember: "always" }), "Everywhere in the workspace, from now on"));
    return h("footer", {}, note, ...buttons, this.#button("Deny", "quiet", () => this.#say("deny")), who);
  }

  #answering(who) {
    const field = h("textarea.in", { rows: "2", maxlength: "20000", "aria-label": "Your answer", placeholder: "Your answer", onkeydown: (event) => this.#keyed(event) });
    const options = Array.isArray(this.#view.input?.options) ? this.#view.input.options : [];
    const quick = options.slice(0, 8).map((option) => this.#button(String(option), "", () => this.#say("answer", { answer: String(option) })));
    return h("footer", {}, quick.length ? h("span.quick", {}, ...quick) : null, field, this.#button("Answer", "primary", () => this.#answer()), this.#button("No answer", "quiet", () => this.#say("deny")), who);
  }

  #keyed(event) {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    this.#answer();
  }

  #answer() {
    const field = this.querySelector("textarea");
    const answer = field.value.trim();
    if (!answer) return field.focus();
    this.#say("answer", { answer });
  }

  #button(label, kind, onclick, title = null) {
    return h(`button.btn.sm${kind ? `.${kind}` : ""}`, { type: "button", onclick, title }, label);
  }

  #say(decision, more = {}) {
    const note = this.querySelector("input")?.value.trim() ?? "";
    const buttons = [...this.querySelectorAll("button")];
    for (const button of buttons) button.disabled = true;
    const failed = () => buttons.forEach((button) => (button.disabled = false));
    emit(this, "message-action", { action: "decide", toolId: this.#view.approval.toolId, decision, note, failed, ...more });
  }

  /** What came of it. */
  #line() {
    const { approval } = this.#view;
    const focused = this.contains(document.activeElement);
    const { kind, iconName, word } = OUTCOMES[approval.status] ?? OUTCOMES.withdrawn;
    const by = approval.decidedBy?.name;
    const names = approval.quorum > 1 && approval.status === "approved" ? approval.votes.map((vote) => vote.user?.name).filter(Boolean).join(", ") : by;
    const remembered = approval.note === "remembered" && !approval.votes.length;
    const parts = [remembered ? "as remembered" : names ? `by ${names}` : "", approval.decidedAt ? `at ${clock(approval.decidedAt)}` : ""].filter(Boolean).join(" ");
    const said = approval.answer ?? (remembered ? null : approval.note);
    this.removeAttribute("aria-labelledby");
    this.removeAttribute("role");
    this.replaceChildren(h("p.said", {}, stateMark(kind, iconName, word, { loud: true }), h("span.mut", {}, parts), said ? h("span.cut.grow", { title: said }, `“${said}”`) : null));
    if (focused) {
      this.tabIndex = -1;
      this.focus({ preventScroll: true });
    }
  }
}

const OUTCOMES = {
  approved: { kind: "ok", iconName: "shield-check", word: "Approved" },
  answered: { kind: "ok", iconName: "circle-check", word: "Answered" },
  denied: { kind: "bad", iconName: "circle-x", word: "Denied" },
  expired: { kind: "off", iconName: "clock", word: "Nobody decided in time" },
  withdrawn: { kind: "off", iconName: "square", word: "Stopped before anybody decided" },
};

/** What it is to be run with, a line for each argument. */
function details(input) {
  const entries = input && typeof input === "object" && !Array.isArray(input) ? Object.entries(input) : [["Input", input]];
  if (!entries.length) return h("p.votes.mut", {}, "Without arguments");
  const rows = entries.slice(0, MOST_ROWS).flatMap(([name, value]) => [h("dt", {}, labelOf(name)), h("dd", {}, valueOf(value))]);
  if (entries.length > MOST_ROWS) rows.push(h("dt"), h("dd.mut", {}, `and ${entries.length - MOST_ROWS} more`));
  return h("dl", {}, ...rows);
}

/** `dueOn` → `Due on`. */
function labelOf(name) {
  const words = name.replaceAll(/([a-z0-9])([A-Z])/g, "$1 $2").replaceAll(/[_-]+/g, " ").toLowerCase();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

function valueOf(value) {
  if (value === null || value === undefined || value === "") return h("span.mut", {}, "empty");
  if (typeof value === "object") return jsonPre(JSON.stringify(value, null, 2));
  const text = String(value);
  return text.length > LONG ? h("details", {}, h("summary", {}, `${text.slice(0, LONG)}…`), h("p.all", {}, text)) : h("span", {}, text);
}

function asked(input) {
  return h("p.asked", {}, String(input?.question ?? ""));
}

/** ms → `4:12 left`, `3 h left`, `2 days left`. */
export function timeLeft(ms) {
  if (!(ms > 0)) return "time is over";
  const seconds = Math.floor(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} left`;
  const hours = Math.round(seconds / 3600);
  return hours <= 48 ? `${hours} h left` : `${Math.round(hours / 24)} days left`;
}

/** Whether somebody of that role may decide. */
export function mayDecide(approval, role) {
  return (RANK[role] ?? 0) >= (RANK[approval.role] ?? RANK.owner);
}

customElements.define("nexus-approval", NexusApproval);
