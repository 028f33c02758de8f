/**
 * What every page has: the client and its connection, the list of conversations, who is here, what happened, drawers,
 * menus, the palette, keys, the theme.
 */
import { NexusClient } from "../client/client.js";
import { offlineBanner } from "../elements/connection.js";
import { toast } from "../elements/toast.js";
import { activityLine } from "../lib/activity-words.js";
import { api, probe } from "../lib/api.js";
import { setTimeZone } from "../lib/format.js";
import { loadIcons } from "../lib/icons.js";
import { schedule } from "../lib/schedule.js";
import { CatchUp } from "./catch-up.js";
import { Access } from "./access.js";
import { EarlierActivities } from "./earlier-activities.js";
import { closeDrawer, openDrawer } from "./dialogs.js";
import { wireMenus } from "./menus.js";
import { ConversationList } from "./nav.js";
import { Notices } from "./notices.js";
import { openPalette } from "./palette.js";
import { MOD, Shortcuts } from "./shortcuts.js";
import { applyTheme } from "./theme.js";
import { setNews } from "./title.js";

const BEAT_MS = 30_000;
const IDLE_MS = 120_000;
/** How long a link may be down before the page says so: a short break is nobody's business. */
const QUIET_MS = 1500;
/** What an agent does whose run waits for people, in the server's words. */
const WAITING = "waiting for approval";
/** A cursor that moves is told at most so often, ms. */
const SELECT_MS = 120;

export class Shell {
  constructor(state) {
    this.initial = state;
    this.user = state.user;
    setTimeZone(state.user.timezone);
    this.workspace = state.workspace;
    this.agents = new Map(state.agents.map((agent) => [agent.id, agent]));
    this.client = new NexusClient({
      workspace: state.workspace.slug,
      conversationId: state.conversation?.id ?? null,
      initial: state,
      storage: safeStorage(),
      probe,
    });
    this.nav = new ConversationList(document.querySelector("[data-conversation-list]"), state.conversations ?? [], { current: state.conversation?.id, me: state.user.id, workspace: state.workspace.slug });
    this.earlier = new EarlierActivities(this);
    this.catchUp = new CatchUp(this.client, this.nav, state.workspace.slug);
    this.keys = new Shortcuts({ enabled: state.user.shortcutsEnabled !== false });
    this.commands = [];
    this.activity = "viewing";
    this.selection = null;
    this.telling = null;
    this.missing = 0;
    this.#connection();
    this.#presence();
    this.#navigation();
    wireMenus();
    this.notices = new Notices(this);
    new Access(this);
    this.nav.addEventListener("change", () => this.#news());
    document.addEventListener("visibilitychange", () => this.#news());
    this.#news();
    this.client.addEventListener("change", (event) => this.#changed(event.detail.frame));
    this.client.addEventListener("frame", (event) => this.#heard(event.detail.frame));
  }

  start() {
    loadIcons();
    this.draw();
    this.client.connect();
  }

  get readonly() {
    return this.user.role === "viewer" || this.client?.state.conversation?.mayWrite === false;
  }

  agentOf(id) {
    return this.agents.get(id) ?? null;
  }

  /** A person's name by id, as far as this page knows it. */
  nameOf(userId) {
    if (userId && userId === this.user.id) return "you";
    return this.#people().get(userId) ?? "";
  }

  say(options) {
    return toast(options);
  }

  fail(title, error) {
    const id = error.requestId ? ` (${error.requestId})` : "";
    toast({ kind: "bad", title, text: `${error.message}${id}` });
  }

  // --- connection ----------------------------------------------------------------------------------------

  #connection() {
    let down = null;
    let shut = null;
    this.client.addEventListener("connection", ({ detail }) => {
      this.#showConnection(detail.status);
      if (detail.status === "offline") down ??= setTimeout(() => this.#banner(true), QUIET_MS);
      else if (detail.status !== "connecting") {
        clearTimeout(down);
        down = null;
        this.#banner(false);
      }
      if (detail.status === "live") {
        shut?.remove(); // it is not true any more
        shut = null;
      }
      if (detail.status === "signed-out") {
        shut = toast({ kind: "bad", title: "You are logged out", text: "What you wrote is kept.", action: { label: "Log in", run: () => location.assign(`/accounts/login/?next=${encodeURIComponent(location.pathname)}`) } });
      }
      if (detail.status === "forbidden") this.#asksForMore();
      if (detail.status === "forbidden") shut = toast({ kind: "bad", title: "You may not see this any more", text: "Ask an admin of the workspace." });
    });
    this.client.addEventListener("gap", ({ detail }) => {
      this.missing = detail.missing;
      this.#showConnection("catching-up");
    });
    this.client.addEventListener("somebody-else", () => location.reload());
    this.client.addEventListener("sent", ({ detail }) => this.#sent(detail));
    const wake = () => this.client.link.wake();
    // Whatever may mean that the network or this page was away: the link is asked at once.
    for (const type of ["online", "offline", "focus"]) window.addEventListener(type, wake);
    window.addEventListener("pageshow", (event) => event.persisted && wake());
    document.addEventListener("resume", wake);
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && wake());
    window.addEventListener("pagehide", () => this.client.setPresence({ activity: "idle" }));
  }

  /** Shut out because the workspace asks for a second step now: there is a page that says what to do. */
  async #asksForMore() {
    try {
      await api("GET", "/api/me");
    } catch (error) {
      if (error.code === "two_step_required") location.assign("/two-step/");
    }
  }

  #showConnection(status) {
    for (const element of document.querySelectorAll("nexus-connection")) element.state = { status, missing: this.missing };
  }

  #banner(shown) {
    this.banner?.remove();
    this.banner = null;
    if (!shown) return;
    this.banner = offlineBanner(this.client.link);
    const dock = document.querySelector(".dock > div");
    if (dock) dock.prepend(this.banner);
    else document.getElementById("main")?.prepend(this.banner);
  }

  /** A message that an earlier page left behind went out: in the open conversation it is seen, a new one is led to. */
  #sent({ message, answer, here }) {
    if (answer.conversationId === this.initial.conversation?.id) return null;
    if (here) return this.initial.conversation ? null : location.assign(`/c/${answer.conversationId}/`);
    return this.say({ kind: "ok", title: "Sent", text: message.text.slice(0, 120), action: { label: "Open", run: () => location.assign(`/c/${answer.conversationId}/`) } });
  }

  // --- presence ------------------------------------------------------------------------------------------

  #presence() {
    let idle = null;
    const busy = () => {
      clearTimeout(idle);
      idle = setTimeout(() => this.doing("idle"), IDLE_MS);
      if (this.activity === "idle") this.doing("viewing");
    };
    for (const type of ["pointermove", "keydown", "pointerdown", "wheel"]) document.addEventListener(type, busy, { passive: true });
    busy();
    setInterval(() => this.client.beat(), BEAT_MS);
  }

  /** @param {"viewing"|"typing"|"idle"} activity */
  doing(activity) {
    if (activity === this.activity) return;
    this.activity = activity;
    this.#tell();
  }

  /** Where this person's cursor is in the text that is written together; null: nowhere. Told some times a second. */
  select(selection) {
    if (selection?.start === this.selection?.start && selection?.end === this.selection?.end) return;
    this.selection = selection;
    this.telling ??= setTimeout(() => this.#tell(), SELECT_MS);
  }

  #tell() {
    clearTimeout(this.telling);
    this.telling = null;
    this.client.setPresence({ activity: this.activity, selection: this.selection ?? undefined });
  }

  // --- what the server says ------------------------------------------------------------------------------

  #heard(frame) {
    if (frame.type === "conversation.updated") this.nav.update(frame.conversation ?? frame);
    if (frame.type === "conversation.read") this.nav.read(frame);
    if (frame.type === "conversation.deleted") this.nav.remove(frame.conversationId);
  }

  /** The open conversation is no news while it is looked at. */
  #news() {
    const here = document.visibilityState === "visible" && this.nav.of(this.nav.current)?.unread ? 1 : 0;
    setNews(this.nav.news - here);
  }

  #changed(frame) {
    if (frame.type === "chunk" && this.missing) {
      this.missing = 0;
      this.#showConnection(this.client.link.status);
    }
    schedule(this.draw);
  }

  /** Who is here and what happened; the page's own part is drawn by its controller. */
  draw = () => {
    const { state } = this.client;
    const here = state.conversation?.id ?? null;
    const users = state.presence.map((user) => ({ ...user, icon: user.icon ?? this.agentOf(user.userId)?.icon, name: user.name || this.agentOf(user.userId)?.name || "Somebody", here: !here || !user.conversationId || user.conversationId === here }));
    for (const run of Object.values(state.runs)) {
      // Nobody works on a run that waits for people: its agent is here by its row.
      if (run.status !== "waiting" || !run.agentId) continue;
      const agent = users.find((user) => user.userId === run.agentId && user.conversationId === here);
      if (agent) agent.activity = WAITING;
      else users.push({ userId: run.agentId, name: this.agentOf(run.agentId)?.name ?? run.agentId, icon: this.agentOf(run.agentId)?.icon, kind: "agent", activity: WAITING, conversationId: here, here: true });
    }
    const inHere = here ? users.filter((user) => user.conversationId === here || user.userId === this.user.id) : users;
    for (const element of document.querySelectorAll("nexus-presence")) element.users = element.getAttribute("variant") === "rail" ? ordered(users, this.user.id) : ordered(inHere.length ? inHere : users, this.user.id);
    const people = users.filter((user) => user.kind === "person").length;
    const agents = users.length - people;
    const summary = document.querySelector("[data-here-count]");
    if (summary) summary.textContent = `${people} ${people === 1 ? "person" : "people"}${agents ? `, ${agents} ${agents === 1 ? "agent" : "agents"}` : ""}`;
    const feed = document.querySelector("nexus-activity-feed");
    if (feed) {
      const names = { people: this.#people(), agents: this.agents };
      feed.more = this.earlier.more;
      feed.items = state.activities.map((activity) => activityLine(activity, names));
    }
  };

  #people() {
    const { state } = this.client;
    const names = new Map(state.members.map((member) => [member.userId, member.name]));
    for (const user of state.presence) if (user.kind === "person" && user.name) names.set(user.userId, user.name);
    names.set(this.user.id, this.user.name);
    return names;
  }

  // --- moving about --------------------------------------------------------------------------------------

  #navigation() {
    document.addEventListener("click", (event) => {
      const opener = event.target.closest("[data-open-drawer]");
      if (opener) openDrawer(opener.dataset.openDrawer);
      const closer = event.target.closest("[data-close-drawer]");
      if (closer) closeDrawer(closer.dataset.closeDrawer);
      if (event.target.closest("[data-open-palette]")) this.palette();
      if (event.target.closest("[data-open-keys]")) this.keys.showAll();
    });
    for (const hint of document.querySelectorAll("kbd")) if (hint.textContent === "⌘ K") hint.textContent = `${MOD} K`;
    restorePanels();
    const go = (path) => () => location.assign(path);
    this.keys.on("mod k", () => this.palette());
    this.keys.on("c", go("/"));
    this.keys.on("g u", go("/usage/"));
    this.keys.on("g a", go("/#agents"));
    this.keys.on("g h", go("/history/"));
    this.keys.on("[", () => togglePanel("nav"));
    this.keys.on("]", () => togglePanel("rail"));
    this.keys.on("/", () => document.querySelector("nexus-prompt-input")?.focus());
  }

  palette() {
    closeDrawer("nav");
    const go = (label, iconName, path, hint) => ({ label, icon: iconName, hint, run: () => location.assign(path) });
    openPalette({
      conversations: () => this.nav.all,
      commands: () => [
        ...this.commands,
        go("New conversation", "square-pen", "/", "C"),
        go("Agents", "layout-grid", "/#agents", "G A"),
        go("History", "history", "/history/", "G H"),
        go("Usage", "chart-column", "/usage/", "G U"),
        go("Settings", "settings-2", "/settings/"),
        { label: "Light look", icon: "sun", run: () => this.theme("light") },
        { label: "Dark look", icon: "moon", run: () => this.theme("dark") },
        { label: "Look of the system", icon: "monitor", run: () => this.theme("system") },
        { label: "All keys", icon: "keyboard", hint: "?", run: () => this.keys.showAll() },
      ],
    });
  }

  async theme(theme) {
    applyTheme(theme);
    try {
      await api("PATCH", "/api/me", { theme });
    } catch (error) {
      this.fail("The look was not saved", error);
    }
  }
}

/** Me first, then people by name, then agents. */
function ordered(users, me) {
  const rank = (user) => (user.userId === me ? 0 : user.kind === "person" ? 1 : 2);
  return [...users].sort((a, b) => rank(a) - rank(b) || String(a.name).localeCompare(String(b.name)));
}

function togglePanel(id) {
  const narrow = matchMedia(id === "nav" ? "(max-width: 53.75rem)" : "(max-width: 73.75rem)").matches;
  if (narrow) return openDrawer(id);
  const shell = document.querySelector(".shell");
  const hidden = shell.classList.toggle(`no-${id}`);
  safeStorage()?.setItem(`nexus.no-${id}`, hidden ? "1" : "");
}

function restorePanels() {
  const shell = document.querySelector(".shell");
  for (const id of ["nav", "rail"]) if (safeStorage()?.getItem(`nexus.no-${id}`)) shell?.classList.add(`no-${id}`);
}

/** Storage may be forbidden; the page works without. */
export function safeStorage() {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
}
