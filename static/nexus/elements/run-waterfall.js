/**
 * `<nexus-run-waterfall>`: "This run": a row per model call and tool on one time axis, and under it what it took.
 * Property `view`: `{run, agent}` or null. Event: `run-row` {toolId?, runId} when a row is chosen.
 */
import { meter } from "../client/meter.js";
import { isLive } from "../client/run.js";
import { waterfall } from "../client/thread.js";
import { emit, h, icon, setText, stateMark } from "../lib/dom.js";
import { count, seconds, usd } from "../lib/format.js";
import { drawUnpressed } from "../lib/press.js";
import { tick } from "../lib/schedule.js";

const MARKS = { COMPLETED: ["ok", "circle-check"], RUNNING: ["run", "loader-circle"], FAILED: ["bad", "circle-x"], PENDING: ["off", "clock"], UNKNOWN: ["off", "circle-help"] };

export class NexusRunWaterfall extends HTMLElement {
  #view = null;
  #stop = null;
  #key = "";

  /** The rail moves into a drawer on small screens: the clock goes on there. */
  connectedCallback() {
    if (!this.childElementCount) this.#draw();
    if (this.#view && isLive(this.#view.run)) this.#stop ??= tick(() => this.#draw());
  }

  disconnectedCallback() {
    this.#stop?.();
    this.#stop = null;
  }

  set view(view) {
    if (view?.run === this.#view?.run && view?.agent === this.#view?.agent && view?.price === this.#view?.price) return;
    this.#view = view;
    const live = Boolean(view && isLive(view.run));
    if (live && !this.#stop) this.#stop = tick(() => this.#draw());
    if (!live && this.#stop) {
      this.#stop();
      this.#stop = null;
    }
    this.#draw();
  }

  #draw() {
    drawUnpressed(this, this.#drawNow);
  }

  #drawNow = () => {
    if (!this.#view) {
      this.replaceChildren(h("h2", {}, "This run"), h("p.mut", {}, "No run yet. Ask something."));
      this.#key = "";
      return;
    }
    const { run, agent } = this.#view;
    const now = Date.now();
    const axis = waterfall(run, now);
    const key = JSON.stringify([run.id, run.status, run.loaded, axis.rows.map((row) => [row.id, row.state, row.label]), agent?.name]);
    if (key !== this.#key) {
      this.#key = key;
      this.#build(run, agent, axis);
    }
    this.#move(run, axis, now);
  };

  #build(run, agent, axis) {
    const live = isLive(run);
    const mark = live ? stateMark("run", "loader-circle", "", { spin: true }) : run.status === "complete" ? stateMark("ok", "circle-check", "") : stateMark(run.status === "failed" ? "bad" : "off", run.status === "failed" ? "circle-x" : "square", "");
    mark.lastElementChild.className = "num total";
    const rows = axis.rows.map((row) => {
      const [kind, name] = MARKS[row.state] ?? MARKS.UNKNOWN;
      const label = h(`span.cut${row.kind === "tool" ? ".mono" : ""}`, {}, row.label);
      const jump = () => emit(this, "run-row", { runId: run.id, toolId: row.kind === "tool" ? row.id : null });
      return h(`li.${kind}`, {}, h("button", { type: "button", onclick: jump }, icon(name, `s ${kind}${kind === "run" ? " spin" : ""}`), label, h("span.t.num"), h("span.lane", {}, h("i"))));
    });
    this.replaceChildren(
      h("h2", {}, "This run ", h("span.mut.cut", {}, agent?.name ?? run.agentId ?? ""), h("span.grow"), mark),
      axis.rows.length ? h("ol.wf", {}, ...rows) : h("p.mut", {}, withoutSteps(run, live)),
      h("dl.kv"),
    );
  }

  #move(run, { rows, start, end }, now) {
    const span = Math.max(end - start, 1);
    this.querySelectorAll(".wf li").forEach((element, index) => {
      const row = rows[index];
      if (!row) return;
      const to = row.end ?? (isLive(run) ? now : end);
      const lane = element.querySelector(".lane");
      lane.style.setProperty("--s", String(((row.start - start) / span) * 100));
      lane.style.setProperty("--w", String((Math.max(to - row.start, 0) / span) * 100));
      setText(element.querySelector(".t"), row.state === "PENDING" ? "–" : seconds(row.durationMs ?? to - row.start));
    });
    const total = run.durationMs ?? end - start;
    const known = run.items.length || run.durationMs !== null || isLive(run);
    setText(this.querySelector(".total"), known ? seconds(total) : "");
    this.#facts(run);
  }

  #facts(run) {
    const usage = run.tokenUsage;
    const first = run.firstWordsAt && run.startedAt ? run.firstWordsAt - run.startedAt : run.timeToFirstTokenMs;
    const facts = [];
    if (run.model) facts.push(["Model", run.model]);
    if (usage && usage.total) {
      facts.push(["Tokens in, cached", `${count(usage.input + usage.cacheWrite)} · ${count(usage.cacheRead)}`]);
      facts.push(["Tokens out, thinking", `${count(usage.output)} · ${count(usage.reasoning)}`]);
    }
    if (first !== null && first !== undefined) facts.push(["First words after", seconds(first)]);
    const told = meter(run, this.#view.price);
    if (told?.cost) facts.push(["Cost so far", `about ${usd(told.cost)}`]);
    else if (usage && usage.total) facts.push([isLive(run) ? "Cost so far" : "Cost", ["local", "scripted", "ollama"].includes(run.provider) ? "free" : usd(run.cost?.total)]);
    if (typeof run.confidence === "number" && run.status !== "failed") facts.push(["Confidence", run.confidence.toFixed(2)]);
    const list = this.querySelector(".kv");
    const key = JSON.stringify(facts);
    if (list.dataset.key === key) return;
    list.dataset.key = key;
    list.hidden = !facts.length;
    list.replaceChildren(...facts.flatMap(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]));
  }
}

/** Why there is no step to show. Of an answer that was copied or brought along from elsewhere no log exists. */
function withoutSteps(run, live) {
  if (run.items.length || live) return "Waiting for the first words.";
  if (!run.loaded) return "Loading its steps.";
  return run.status === "complete" ? "No steps are kept of it." : "It ended before its first step.";
}

customElements.define("nexus-run-waterfall", NexusRunWaterfall);
