/**
 * `<nexus-message from="user|assistant">`: one person's message or one agent's answer.
 *
 * Property `view`: `{entry, agent, me, last, canAct, online, nameOf}`; `entry` is one of `client/thread.js`. What the server drew
 * of a finished message stays as it is and only gets its actions.
 * Events: `message-action` {action: copy|regenerate|regenerate-with|more|rate|edit|continue|resume|retry-tool|resend|
 * discard|branch, entry, value?}.
 */
import { isLive } from "../client/run.js";
import { messageItems } from "../client/thread.js";
import { avatar, emit, h, icon, setChildren, setText, stateMark } from "../lib/dom.js";
import { clock } from "../lib/format.js";
import { drawUnpressed } from "../lib/press.js";
import { tick } from "../lib/schedule.js";
import { feedbackForm } from "./feedback-form.js";
import { editor } from "./message-editor.js";
import { ending, progressOf, standing } from "./standing.js";

export class NexusMessage extends HTMLElement {
  #view = null;
  #built = false;
  /** Elements of the flow, by item: kept while their item grows. */
  #flow = new Map();
  #stop = null;
  #editing = false;
  /** The form that asks why, while it is open. */
  #why = null;

  disconnectedCallback() {
    this.#stop?.();
    this.#stop = null;
  }

  get view() {
    return this.#view;
  }

  set view(view) {
    const before = this.#view;
    this.#view = view;
    const { entry } = view;
    if (entry.message?.continues) return this.#renderContinues();
    this.toggleAttribute("continued", Boolean(view.continues));
    this.toggleAttribute("cut", Boolean(view.continued));
    const adopted = !this.#built && this.childElementCount > 0 && !entry.pending && !(entry.run && isLive(entry.run)) && !offersRetry(view) && !wasAsked(view);
    if (!this.#built && !adopted) this.#build();
    if (this.#built && !this.#editing) this.#render(before);
    if (!this.#built) {
      this.#renderStanding();
      this.#renderEnd();
    }
    this.#renderActions();
    const live = Boolean(entry.run && isLive(entry.run));
    this.toggleAttribute("live", live);
    const waits = live || Boolean(entry.pending);
    if (waits && !this.#stop) this.#stop = tick(() => this.#renderStanding());
    if (!waits && this.#stop) {
      this.#stop();
      this.#stop = null;
    }
  }

  /** Turns the message into a field; the new text becomes a branch. */
  edit() {
    const { entry } = this.#view;
    const body = this.querySelector(".md");
    if (!body || this.#editing || !entry.message) return;
    this.#editing = true;
    const form = editor(entry.message.content, (text) => {
      this.#editing = false;
      form.replaceWith(body);
      this.querySelector(".acts")?.toggleAttribute("hidden", false);
      if (text !== null && text !== entry.message.content) emit(this, "message-action", { action: "edit", entry, value: text });
    });
    this.querySelector(".acts")?.toggleAttribute("hidden", true);
    body.replaceWith(form);
    form.querySelector("textarea").focus();
  }

  /** The instruction to go on with a cut answer is no message to a reader: a line where the answer was cut. */
  #renderContinues() {
    const { message } = this.#view.entry;
    if (this.#built || this.querySelector(".cutline")) return;
    this.#built = true;
    this.setAttribute("from", "user");
    this.setAttribute("message-id", message.id);
    this.id = `m-${message.id}`;
    this.toggleAttribute("continues", true);
    this.replaceChildren(h("p.cutline", {}, `Cut by its length, continued by ${message.author.name || "somebody"}`));
  }

  #build() {
    const { entry } = this.#view;
    this.#built = true;
    this.#flow.clear();
    this.setAttribute("from", entry.from);
    this.replaceChildren(
      this.#avatar(),
      h("div", {}, h("div.who", {}, h("h2"), h("span.model"), h("time"), h("span.stand")), h("div.flow"), h("div.ends"), h("div.acts")),
    );
  }

  #avatar() {
    const { entry, agent, me } = this.#view;
    if (entry.from === "assistant") return avatar({ name: agent?.name ?? "Agent", kind: "agent", icon: agent?.icon });
    const author = entry.message?.author ?? me;
    return avatar({ id: author?.id, name: author?.name ?? "" });
  }

  #render(before) {
    const { entry, agent, me } = this.#view;
    if (entry.message) {
      this.setAttribute("message-id", entry.message.id);
      this.id = `m-${entry.message.id}`;
    }
    const name = entry.from === "assistant" ? (agent?.name ?? entry.run?.agentId ?? entry.message?.agentId ?? "Agent") : (entry.message?.author?.name ?? me?.name ?? "");
    setText(this.querySelector(".who h2"), name);
    setText(this.querySelector(".who .model"), entry.from === "assistant" ? (entry.run?.model ?? "") : "");
    const at = entry.message?.createdAt ?? entry.pending?.at ?? entry.run?.startedAt ?? entry.run?.queuedAt;
    const time = this.querySelector(".who time");
    setText(time, at ? clock(at) : "");
    if (entry.from === "assistant" && before?.agent !== this.#view.agent) this.firstElementChild.replaceWith(this.#avatar());
    this.#renderStanding();
    if (entry.from === "assistant") this.#renderFlow();
    else this.#renderWords();
    this.#renderEnd();
  }

  #renderWords() {
    const { entry } = this.#view;
    const flow = this.querySelector(".flow");
    const text = entry.pending ? entry.pending.text : entry.message.content;
    const parts = entry.pending ? (entry.pending.files ?? []).map((file) => ({ type: "image", ...file })) : entry.message.parts;
    const key = JSON.stringify([text, parts]);
    if (flow.dataset.key === key) return;
    flow.dataset.key = key;
    const body = h("div.md");
    for (const paragraph of text.split(/\n{2,}/)) if (paragraph.trim()) body.append(h("p", {}, paragraph));
    for (const part of parts) if (part.type === "image" && part.fileId) body.append(h("img.shot", { src: `/api/files/${part.fileId}`, alt: part.name ?? "Attached image", loading: "lazy" }));
    flow.replaceChildren(body);
  }

  /** Items in their order; calls that follow one another share one list. */
  #renderFlow() {
    const { entry } = this.#view;
    const run = entry.run;
    const items = run && run.items.length ? run.items : entry.message ? messageItems(entry.message) : [];
    const live = Boolean(run && isLive(run));
    const children = [];
    let list = null;
    items.forEach((item, index) => {
      const key = item.kind === "tool" ? `tool:${item.toolId}` : `${item.kind}:${index}`;
      if (item.kind === "tool") {
        const asked = this.#view.approvals?.[item.toolId] ?? null;
        if (asked?.status === "open" && live) {
          list = null;
          const card = this.#element(`approval:${item.toolId}`, () => document.createElement("nexus-approval"));
          card.view = this.#approval(asked, item);
          children.push(card);
          return;
        }
        if (!list) {
          list = this.#element(`tools:${item.toolId}`, () => h("div.tools"));
          list.wanted = [];
          children.push(list);
        }
        const call = this.#element(key, () => document.createElement("nexus-tool-call"));
        list.wanted.push(call);
        if (asked) {
          const line = this.#element(`approval:${item.toolId}`, () => document.createElement("nexus-approval"));
          line.view = this.#approval(asked, item);
          list.wanted.push(line);
        }
        call.told = run?.status !== "cancelled";
        call.progress = live ? (run.toolProgress?.[item.toolId] ?? null) : null;
        call.item = item;
        call.canRetry = Boolean(this.#view.canAct && this.#view.last && !live);
        return;
      }
      list = null;
      if (item.kind === "reasoning") {
        const reasoning = this.#element(key, () => document.createElement("nexus-reasoning"));
        reasoning.item = live || item.endedAt !== null ? item : { ...item, endedAt: item.startedAt };
        children.push(reasoning);
      } else if (item.text) {
        const response = this.#element(key, () => document.createElement("nexus-response"));
        if (item.section) response.dataset.section = item.section;
        response.text = item.text;
        response.streaming = live && index === items.length - 1 && run.status === "running";
        children.push(response);
      }
    });
    const flow = this.querySelector(".flow");
    setChildren(flow, children);
    for (const child of children) if (child.wanted) setChildren(child, child.wanted);
    flow.setAttribute("aria-live", live ? "off" : "inherit");
    if (!live) flow.removeAttribute("aria-live");
  }

  #approval(approval, item) {
    const { agent, me, role, canAct } = this.#view;
    return { approval, input: item.call.input, agent, me, role, canAct };
  }

  #element(key, make) {
    let element = this.#flow.get(key);
    if (!element) {
      element = make();
      this.#flow.set(key, element);
    }
    return element;
  }

  #renderStanding() {
    const holder = this.querySelector(".who .stand");
    if (!holder || !this.#view) return;
    const mark = standing(this.#view.entry, Date.now(), this.#view.online, this.#view.price);
    const key = mark ? `${mark.kind}${mark.icon}${mark.word}` : "";
    if (holder.dataset.key !== key) {
      holder.dataset.key = key;
      holder.replaceChildren(...(mark ? [stateMark(mark.kind, mark.icon, mark.word, { loud: true, spin: mark.spin }), h("span.num.mut")] : []));
    }
    if (mark) setText(holder.lastElementChild, mark.more ?? "");
    this.#renderProgress();
  }

  /** A thin line under the name while a run of several steps goes on; nothing for a run of one step. */
  #renderProgress() {
    const progress = progressOf(this.#view.entry.run);
    let line = this.querySelector(".prog");
    if (!progress) return line?.remove();
    if (!line) {
      line = h("div.prog", {}, h("span.bar-of", { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100" }, h("i")), h("span.num"));
      this.querySelector(".who").after(line);
    }
    const percent = String(Math.round(progress.part * 100));
    const bar = line.firstElementChild;
    bar.style.setProperty("--v", percent);
    bar.setAttribute("aria-valuenow", percent);
    bar.setAttribute("aria-valuetext", progress.words);
    bar.setAttribute("aria-label", "How far the run is");
    setText(line.lastElementChild, progress.words);
  }

  /** How it ended, if not well: a sentence for a person and what can be done. */
  #renderEnd() {
    const { entry, canAct } = this.#view;
    const holder = this.querySelector(".ends");
    if (!holder) return;
    const lines = ending(entry, this.#view);
    const key = JSON.stringify([lines, canAct]);
    if (holder.dataset.key === key) return;
    holder.dataset.key = key;
    const action = ([name, label]) => h("button.btn.sm", { type: "button", onclick: () => emit(this, "message-action", { action: name, entry: this.#view.entry }) }, label);
    const drawn = (line) => h("div.end", {}, stateMark(line.kind, line.icon, line.word, { loud: true }), h("span.mut.grow", {}, line.text), ...(canAct ? (line.actions ?? []) : []).map(action));
    drawUnpressed(holder, () => holder.replaceChildren(...lines.map(drawn)));
  }

  #renderActions() {
    const { entry, last, canAct } = this.#view;
    const holder = this.querySelector(".acts");
    if (!holder) return;
    this.#renderComment();
    const live = Boolean(entry.run && isLive(entry.run));
    const shown = !live && !entry.pending && Boolean(entry.message || entry.run?.items.length);
    const key = JSON.stringify([shown, canAct, last, entry.from, entry.branches, entry.message?.id, entry.message?.feedback?.rating, entry.run?.status, entry.run?.tokenUsage?.total, entry.run?.cost?.total]);
    if (holder.dataset.key === key) return;
    holder.dataset.key = key;
    this.toggleAttribute("last", Boolean(last));
    drawUnpressed(holder, () => this.#drawActions(holder, shown));
  }

  #drawActions(holder, shown) {
    const { entry, canAct } = this.#view;
    holder.hidden = !shown;
    if (!shown) return holder.replaceChildren();
    const focused = holder.contains(document.activeElement) ? document.activeElement.dataset.act : null;
    const buttons = [];
    if (entry.branches) buttons.push(this.#branches(entry.branches));
    buttons.push(this.#button("copy", "Copy", "copy"));
    if (entry.from === "assistant" && canAct && entry.message) {
      buttons.push(this.#button("regenerate", "Regenerate", "rotate-cw"));
      buttons.push(this.#button("regenerate-with", "Answer with another agent", "chevron-down", "narrow"));
    }
    if (entry.from === "user" && canAct && entry.message) buttons.push(this.#button("edit", "Edit and send again", "pencil"));
    if (entry.from === "assistant" && entry.message) buttons.push(this.#rating("good", "Good answer", "thumbs-up"), this.#rating("poor", "Poor answer", "thumbs-down"));
    if (entry.message) buttons.push(this.#button("more", "More", "ellipsis"));
    if (entry.from === "assistant" && entry.run) {
      const counter = document.createElement("nexus-token-counter");
      counter.usage = entry.run;
      buttons.push(counter);
    }
    holder.replaceChildren(...buttons);
    if (focused) holder.querySelector(`[data-act="${focused}"]`)?.focus();
  }

  /** Pressed again it is taken back. Pressed first, the reader may say why. */
  #rating(rating, label, iconName) {
    const pressed = this.#view.entry.message.feedback?.rating === rating;
    const act = () => {
      emit(this, "message-action", { action: "rate", entry: this.#view.entry, value: pressed ? null : { rating, comment: "" } });
      if (pressed) this.#closeWhy();
      else this.#askWhy({ rating, comment: "" });
    };
    return h("button", { type: "button", class: "ib", "aria-label": label, title: label, "aria-pressed": String(pressed), data: { act: rating }, onclick: act }, icon(iconName));
  }

  #askWhy(feedback) {
    this.#closeWhy();
    this.#why = feedbackForm(feedback, (comment) => {
      const back = this.querySelector(`[data-act="${feedback.rating}"]`);
      this.#closeWhy();
      if (comment !== null && comment !== feedback.comment) emit(this, "message-action", { action: "rate", entry: this.#view.entry, value: { rating: feedback.rating, comment } });
      back?.focus();
    });
    this.querySelector(".comment")?.remove();
    this.querySelector(".acts").after(this.#why);
    this.#why.querySelector("textarea").focus();
  }

  #closeWhy() {
    this.#why?.remove();
    this.#why = null;
    this.#renderComment();
  }

  /** What this person said about the answer, for them alone. */
  #renderComment() {
    const feedback = this.#view.entry.message?.feedback;
    let line = this.querySelector(".comment");
    if (!feedback?.comment || this.#why) return line?.remove();
    if (!line?.lastElementChild.matches("button")) {
      line?.remove();
      line = h("p.comment", {}, h("span.cut"), h("button.btn.sm.quiet", { type: "button", onclick: () => this.#askWhy(this.#view.entry.message.feedback) }, "Edit"));
      this.querySelector(".acts").after(line);
    }
    setText(line.firstElementChild, `Your comment: ${feedback.comment}`);
  }

  #button(action, label, iconName, classes = "") {
    const act = (event) => (action === "edit" ? this.edit() : emit(this, "message-action", { action, entry: this.#view.entry, button: event.currentTarget }));
    return h("button", { type: "button", class: `ib ${classes}`.trim(), "aria-label": label, title: label, data: { act: action }, onclick: act }, icon(iconName));
  }

  #branches({ index, count, fork, ids }) {
    const step = (by, label, iconName) =>
      h("button.ib.narrow", { type: "button", "aria-label": label, disabled: index + by < 0 || index + by >= count, onclick: () => emit(this, "message-action", { action: "branch", entry: this.#view.entry, fork, value: ids[index + by] }) }, icon(iconName, "s"));
    return h("span.branches", { role: "group", "aria-label": "Versions" }, step(-1, "Earlier version", "chevron-left"), h("span.num", {}, `${index + 1} / ${count}`), step(1, "Later version", "chevron-right"));
  }
}

/** A call that failed in the last answer can be asked for again: then the page draws it anew, with its button. */
function offersRetry({ canAct, last, entry }) {
  return Boolean(canAct && last && entry.message?.parts.some((part) => part.type === "tool_call" && part.status === "FAILED"));
}

/** Calls that were put to people: the page draws who decided. */
function wasAsked({ approvals, entry }) {
  return Boolean(entry.message?.parts.some((part) => part.type === "tool_call" && approvals?.[part.toolId]));
}

customElements.define("nexus-message", NexusMessage);
