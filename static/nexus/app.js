/** The browser's side of Nexus: the elements, and the page that the server drew. */
import "./elements/code-block.js";
import "./elements/image.js";
import "./elements/math.js";
import "./elements/response.js";
import "./elements/reasoning.js";
import "./elements/tool-call.js";
import "./elements/approval.js";
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

import { ConversationPage } from "./pages/conversation.js";
import { HistoryPage } from "./pages/history.js";
import { HomePage } from "./pages/home.js";
import { MembersPage } from "./pages/members.js";
import { SettingsPage } from "./pages/settings.js";
import { Shell } from "./pages/shell.js";
import { UsagePage } from "./pages/usage.js";

const PAGES = { home: HomePage, conversation: ConversationPage, history: HistoryPage, usage: UsagePage, settings: SettingsPage, members: MembersPage };

// All in one go with the definition of the elements: between the two a key press would find nobody who listens.
const state = document.getElementById("nexus-state");
if (state) {
  const shell = new Shell(JSON.parse(state.textContent));
  const Page = PAGES[document.body.dataset.page];
  const page = Page ? new Page(shell) : null;
  shell.start();
  page?.start();
}
