/** The browser's side of Nexus: the elements, and the page that the server drew. */
import "./elements/code-block.js";
import "./elements/image.js";
import "./elements/math.js";
import "./elements/response.js";
import "./elements/reasoning.js";
import "./elements/tool-call.js";
import "./elements/token-counter.js";
import "./elements/message.js";
import "./elements/conversation.js";
import "./elements/prompt-input.js";
import "./elements/suggestions.js";
import "./elements/presence.js";
import "./elements/activity-feed.js";
import "./elements/connection.js";
import "./elements/run-waterfall.js";
import "./elements/toast.js";

import { Shell } from "./pages/shell.js";

const PAGES = {
  home: () => import("./pages/home.js").then((module) => module.HomePage),
  conversation: () => import("./pages/conversation.js").then((module) => module.ConversationPage),
  history: () => import("./pages/history.js").then((module) => module.HistoryPage),
  usage: () => import("./pages/usage.js").then((module) => module.UsagePage),
  settings: () => import("./pages/settings.js").then((module) => module.SettingsPage),
};

async function start() {
  const element = document.getElementById("nexus-state");
  if (!element) return;
  const shell = new Shell(JSON.parse(element.textContent));
  const Page = await PAGES[document.body.dataset.page]?.();
  const page = Page ? new Page(shell) : null;
  shell.start();
  page?.start();
}

start();
