/**
 * A run that several people watch: what was said to its agent and is not heard yet, and who controls it. Lines above
 * the composer, only where there is something to say.
 */
import { isLive } from "../client/run.js";
import { avatar, h } from "../lib/dom.js";
import { drawUnpressed } from "../lib/press.js";

const MOST = 3;

export class Conducting {
  #key = "";

  /** @param {import("./shell.js").Shell} shell */
  constructor(shell) {
    this.shell = shell;
    this.client = shell.client;
    this.element = h("div.conduct", { hidden: true });
    document.querySelector(".dock > div > .typing")?.after(this.element);
    this.client.addEventListener("frame", ({ detail }) => detail.frame.type === "run.control_wanted" && this.#wanted(detail.frame));
  }

  draw() {
    const { state } = this.client;
    const lines = Object.values(state.runs).filter((run) => isLive(run) && run.conversationId === state.conversation?.id).map((run) => this.#of(run, state)).filter(Boolean);
    const key = JSON.stringify(lines);
    if (key === this.#key) return;
    this.#key = key;
    drawUnpressed(this.element, () => {
      this.element.hidden = !lines.length;
      this.element.replaceChildren(...lines.flatMap((line) => this.#rows(line)));
    });
  }

  /** What there is to say about a run, as plain data; null: nothing. */
  #of(run, state) {
    const me = this.shell.user.id;
    const said = Object.values(state.steerings).filter((one) => one.runId === run.id).map(({ messageId, text, author }) => ({ messageId, text, author }));
    const others = state.presence.filter((user) => user.kind === "person" && user.userId !== me && user.conversationId === state.conversation.id);
    const role = state.role ?? this.shell.user.role;
    const may = !this.shell.readonly && (role === "owner" || role === "admin" || run.startedBy === me);
    const held = run.controlledBy;
    const agent = this.shell.agentOf(run.agentId)?.name ?? "the agent";
    const control = held || (may && others.length)
      ? { runId: run.id, fence: run.controlFence ?? 0, agent, held, mine: held === me, may, name: held ? this.shell.nameOf(held) || "Somebody" : "", others: others.slice(0, MOST).map(({ userId, name }) => ({ userId, name })) }
      : null;
    return said.length || control ? { said, control, agent } : null;
  }

  #rows({ said, control, agent }) {
    const rows = said.map((one) => h("p.told", {}, avatar({ id: one.author?.id, name: one.author?.name ?? "" }, "xs"), h("span.cut.grow", {}, one.text), h("span.mut", {}, `${agent} hears it at its next step`)));
    if (control) rows.push(this.#control(control));
    return rows;
  }

  #control({ runId, fence, agent, held, mine, may, name, others }) {
    if (mine) return h("p.control", {}, h("span.grow", {}, `You control ${agent}. Only you can tell it something now.`), ...others.map((user) => this.#button(`Hand over to ${user.name}`, { type: "control.grant", runId, fence, userId: user.userId })));
    if (!held) return h("p.control", {}, h("span.grow"), this.#button(`Take control of ${agent}`, { type: "control.take", runId, fence }));
    const act = may ? this.#button("Take control", { type: "control.take", runId, fence }) : this.shell.readonly ? null : this.#button("Ask for control", { type: "control.request", runId });
    return h("p.control", {}, avatar({ id: held, name }, "xs"), h("span.grow", {}, `${name} controls ${agent}`), act);
  }

  #button(label, frame) {
    return h("button.btn.sm.quiet", { type: "button", onclick: (event) => this.#send(event.currentTarget, frame) }, label);
  }

  async #send(button, frame) {
    button.disabled = true;
    try {
      await this.client.request(frame);
      if (frame.type === "control.request") this.shell.say({ kind: "ok", title: "Asked for control" });
    } catch (error) {
      this.shell.fail("Control was not handed over", error);
      button.disabled = false;
    }
  }

  /** Somebody asks for control: whoever has it is asked. */
  #wanted({ runId, by, controlFence }) {
    const run = this.client.state.runs[runId];
    const holder = run?.controlledBy ?? run?.startedBy;
    if (!by || by.id === this.shell.user.id || holder !== this.shell.user.id) return;
    this.shell.say({
      kind: "info",
      title: `${by.name} asks for control`,
      text: `of ${this.shell.agentOf(run.agentId)?.name ?? "the agent"}`,
      stays: true,
      action: { label: "Hand over", run: () => this.client.request({ type: "control.grant", runId, userId: by.id, fence: controlFence }).catch((error) => this.shell.fail("Control was not handed over", error)) },
    });
  }
}
