/**
 * Says that an answer of one's own is ready, where the person is: nothing while they look at it, a short word while
 * they are in another conversation, the browser's notification while they look elsewhere and have asked for it.
 * A short answer is not worth a word: its mark in the list says it.
 */

import { mayDecide } from "../elements/approval.js";

/** An answer is long from here on, ms. */
export const LONG_MS = 10_000;
/** How long another tab has to say that the person looks at it, ms. */
const ASK_MS = 400;
const KEPT = 5;

export class Notices {
  #channel = null;
  #asked = new Map();
  /** What waits for a decision and is on the screen: toolId → its toast. */
  #decisions = new Map();
  /** What ended while the page was hidden: told when it is looked at again, if it is still unread. */
  #later = [];

  /** @param {import("./shell.js").Shell} shell */
  constructor(shell) {
    this.shell = shell;
    shell.client.addEventListener("frame", ({ detail: { frame } }) => {
      if (frame.type === "run.ended") this.#ended(frame);
      if (frame.type === "approval.notice") this.#wanted(frame);
      if (frame.type === "budget.warning") this.#spent(frame);
    });
    document.addEventListener("visibilitychange", () => this.#visible && this.#back());
    if ("BroadcastChannel" in window) {
      this.#channel = new BroadcastChannel("nexus.notices");
      this.#channel.onmessage = ({ data }) => this.#heard(data);
    }
  }

  get #visible() {
    return document.visibilityState === "visible";
  }

  /** A budget reached a percentage: to all who work here, once, wherever they are. */
  #spent(budget) {
    if (this.shell.user.role === "viewer") return;
    const over = budget.percent >= 100;
    const end = budget.hard ? "Requests that do not fit any more are refused." : "It only warns.";
    this.shell.say({ kind: over ? "bad" : "warn", title: `${budget.name}: ${budget.percent} % spent`, text: over ? end : "", action: { label: "Usage", run: () => location.assign("/usage/") } });
  }

  async #ended(run) {
    if (run.workspaceId !== this.shell.workspace.id || run.status === "cancelled" || !(run.durationMs >= LONG_MS)) return;
    if (this.#visible) {
      if (run.conversationId !== this.shell.client.conversationId) this.#toast(run);
      return;
    }
    if (run.conversationId !== this.shell.client.conversationId) this.#later = [...this.#later, run].slice(-KEPT);
    if (this.shell.user.notificationsEnabled && !(await this.#seenElsewhere(run.runId))) this.#notify(run);
  }

  /** An agent waits for a decision: told to those who may give it and look elsewhere, until somebody has. */
  async #wanted(call) {
    this.#decisions.get(call.toolId)?.remove();
    this.#decisions.delete(call.toolId);
    if (call.status !== "open" || this.shell.readonly || !mayDecide(call, this.shell.user.role)) return;
    const here = call.conversationId === this.shell.client.conversationId;
    if (here && this.#visible) return;
    const agent = this.shell.agentOf(call.agentId)?.name ?? "An agent";
    const title = call.kind === "question" ? `${agent} asks a question` : `${agent} waits for approval`;
    const text = this.shell.nav.of(call.conversationId)?.title ?? call.toolName;
    const open = { conversationId: call.conversationId, runId: call.toolId, hash: `#approval-${call.toolId}` };
    if (!here) {
      this.#decisions.set(call.toolId, this.shell.say({ kind: "warn", title, text, stays: true, action: { label: "Open", run: () => this.#open(open) } }));
    }
    if (!this.#visible && this.shell.user.notificationsEnabled && !(await this.#seenElsewhere(call.toolId))) this.#notify(open, title);
  }

  #back() {
    const missed = this.#later;
    this.#later = [];
    for (const run of missed) if (this.shell.nav.of(run.conversationId)?.unread) this.#toast(run);
  }

  #words(run) {
    const name = this.shell.agentOf(run.agentId)?.name ?? "The agent";
    return run.status === "failed" ? { kind: "bad", title: `${name} could not finish` } : { kind: "ok", title: `${name} answered` };
  }

  #toast(run) {
    const text = this.shell.nav.of(run.conversationId)?.title ?? "";
    this.shell.say({ ...this.#words(run), text, stays: true, action: { label: "Open", run: () => this.#open(run) } });
  }

  /** One notification for all tabs: they share its tag. */
  #notify(run, title = this.#words(run).title) {
    if (!("Notification" in window) || Notification.permission !== "granted") return;
    try {
      const shown = new Notification(title, { body: this.shell.nav.of(run.conversationId)?.title ?? "", tag: run.runId, icon: "/static/nexus/icon.svg" });
      shown.onclick = () => {
        window.focus();
        this.#open(run);
        shown.close();
      };
    } catch {
      // some phones only let a service worker notify
    }
  }

  #open(run) {
    if (run.conversationId !== this.shell.client.conversationId) location.assign(`/c/${run.conversationId}/${run.hash ?? ""}`);
  }

  /** Whether the person looks at another tab of Nexus: then that one says it. */
  #seenElsewhere(runId) {
    if (!this.#channel) return Promise.resolve(false);
    return new Promise((resolve) => {
      const timer = setTimeout(() => {
        this.#asked.delete(runId);
        resolve(false);
      }, ASK_MS);
      this.#asked.set(runId, () => {
        clearTimeout(timer);
        this.#asked.delete(runId);
        resolve(true);
      });
      this.#channel.postMessage({ ask: runId, user: this.shell.user.id });
    });
  }

  #heard({ ask, seen, user }) {
    if (user !== this.shell.user.id) return;
    if (ask && this.#visible) this.#channel.postMessage({ seen: ask, user });
    if (seen) this.#asked.get(seen)?.();
  }
}
