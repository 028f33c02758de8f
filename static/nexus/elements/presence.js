/**
 * `<nexus-presence variant="bar|rail">`: who is here. Bar: up to five avatars, then +n. Rail: name and what they do.
 * Property `users`: presence entries `{userId, name, kind, activity, conversationId, selection?, since, icon?}`.
 */
import { avatar, h, icon } from "../lib/dom.js";
import { since } from "../lib/format.js";

const SHOWN = 5;

export class NexusPresence extends HTMLElement {
  #key = "";

  set users(users) {
    const key = JSON.stringify(users.map((user) => [user.userId, user.name, user.kind, user.activity, user.icon, user.selection?.filePath, user.activity === "idle" ? since(user.since) : 0, user.here]));
    if (key === this.#key) return;
    this.#key = key;
    if (this.getAttribute("variant") === "rail") this.#rail(users);
    else this.#bar(users);
  }

  #bar(users) {
    const people = users.filter((user) => user.kind === "person");
    const agents = users.filter((user) => user.kind === "agent");
    const groups = [];
    if (people.length) {
      const more = people.length - SHOWN;
      groups.push(h("span.stack", { role: "img", "aria-label": `Here: ${people.map((user) => user.name).join(", ")}` }, ...people.slice(0, SHOWN).map((user) => avatar({ id: user.userId, name: user.name }, "m")), more > 0 ? h("span.more.num", {}, `+${more}`) : null));
    }
    if (agents.length) {
      groups.push(h("span.stack.ags.only-l", { role: "img", "aria-label": `Agents: ${agents.map((user) => user.name).join(", ")}` }, ...agents.slice(0, SHOWN).map((user) => avatar({ ...user, kind: "agent" }, "m"))));
    }
    this.replaceChildren(...groups);
  }

  #rail(users) {
    this.replaceChildren(...users.map((user) => this.#row(user)));
  }

  #row(user) {
    const mark = avatar({ id: user.userId, name: user.name, kind: user.kind, icon: user.icon }, "m");
    if (user.kind === "person") mark.append(h(`i.on${user.activity === "idle" ? ".idle" : ""}`));
    return h("div.pp", {}, mark, h("b.cut", {}, user.name), h("span.do", {}, ...doing(user)));
  }
}

/** What somebody does, in words. */
function doing(user) {
  const file = user.selection?.filePath;
  switch (user.activity) {
    case "typing":
      return ["typing"];
    case "editing-file":
      return [icon("file-text", "s"), h("span", {}, "editing ", file ? h("span.mono", {}, file) : "a file")];
    case "running-command":
      return [h("span.pulse"), "running a command"];
    case "answering":
    case "thinking":
    case "running a tool":
      return [h("span.pulse"), user.activity];
    case "waiting for approval":
      return [h("span.st.warn", {}, icon("shield-alert", "s"), h("span", {}, "waits for approval"))];
    case "idle":
      return [`idle ${since(user.since)}`];
    default:
      return [user.here === false ? "elsewhere" : user.kind === "agent" ? "here" : "viewing"];
  }
}

customElements.define("nexus-presence", NexusPresence);
