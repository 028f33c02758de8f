/**
 * "Try it" on an agent's page in the admin: one run over `POST /api/invoke`, streamed as SSE.
 *
 * Text is only ever set as text, never as markup. What is shown is what the chunks say;
 * the run goes on if this page is left, Stop asks the server to end it.
 */

const panel = document.getElementById("try-it");
if (panel) begin(panel);

/** Brings one panel to life. @param {HTMLElement} root */
function begin(root) {
  const part = (name) => root.querySelector(`[data-try="${name}"]`);
  const input = root.querySelector("textarea");
  const headers = { "X-CSRFToken": root.dataset.csrf };
  const query = `?workspace=${encodeURIComponent(root.dataset.workspace)}`;
  let runId = null;

  part("run").addEventListener("click", run);
  part("stop").addEventListener("click", stop);
  input.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      if (!part("run").disabled) run();
    }
  });

  async function run() {
    const message = input.value.trim();
    if (!message) return;
    clear();
    busy(true);
    say("Asking …");
    try {
      const answer = await fetch(root.dataset.url + query, {
        method: "POST",
        headers: { ...headers, "Content-Type": "application/json", Accept: "text/event-stream" },
        body: JSON.stringify({ agentId: root.dataset.agent, message, visibility: "private" }),
      });
      if (!answer.ok) throw new Error(await reason(answer));
      for await (const chunk of chunks(answer.body)) show(chunk);
    } catch (error) {
      say(error.message, true);
    } finally {
      busy(false);
    }
  }

  async function stop() {
    if (!runId) return;
    part("stop").disabled = true;
    await fetch(`/api/runs/${runId}/cancel${query}`, { method: "POST", headers });
  }

  function show({ type, data }) {
    if (type === "content") {
      part("text").hidden = false;
      part("text").append(typeof data === "string" ? data : data.content);
      say("Answering …");
    } else if (type === "reasoning") {
      part("reasoning").hidden = false;
      part("reasoning").querySelector("pre").append(data);
      say("Thinking …");
    } else if (type === "tool_call") {
      showTool(data);
    } else if (type === "error") {
      say(data.message, true);
    } else if (type === "metadata") {
      showState(data);
    }
  }

  function showState(data) {
    if (data.status === "started") {
      runId = data.runId;
    } else if (data.status === "retrying") {
      say(`The provider refused (${data.code}); trying again in ${(data.delayMs / 1000).toFixed(1)} s …`);
    } else if (data.status === "fallback") {
      say(`Asking ${data.provider}/${data.model} instead …`);
    } else if (data.status === "waiting") {
      say("It waits for your permission to use a tool: open the conversation to decide.");
    } else if (["complete", "cancelled", "failed"].includes(data.status)) {
      if (data.status === "complete") say("Done.");
      if (data.status === "cancelled") say("Stopped.");
      part("numbers").textContent = numbers(data);
    }
  }

  function showTool(call) {
    const list = part("tools");
    let item = list.querySelector(`[data-tool="${CSS.escape(call.toolId)}"]`);
    if (!item) {
      item = document.createElement("li");
      item.dataset.tool = call.toolId;
      const box = document.createElement("details");
      box.append(document.createElement("summary"), document.createElement("pre"));
      item.append(box);
      list.append(item);
    }
    item.dataset.state = call.status;
    const time = call.durationMs === undefined ? "" : `, ${call.durationMs} ms`;
    item.querySelector("summary").textContent = `Tool: ${call.toolName} (${call.status}${time})`;
    const seen = { input: call.input };
    if (call.result !== undefined) seen.result = call.result;
    if (call.error) seen.error = call.error;
    item.querySelector("pre").textContent = JSON.stringify(seen, null, 2);
  }

  function clear() {
    runId = null;
    for (const name of ["text", "tools", "numbers", "status"]) part(name).textContent = "";
    part("reasoning").querySelector("pre").textContent = "";
    part("text").hidden = part("reasoning").hidden = true;
  }

  function busy(yes) {
    part("run").disabled = yes;
    part("stop").disabled = !yes;
    root.setAttribute("aria-busy", String(yes));
  }

  function say(text, bad = false) {
    part("status").textContent = text;
    part("status").classList.toggle("bad", bad);
  }
}

/** What the terminal chunk says of tokens, money and time. */
function numbers({ tokenUsage: usage, cost, durationMs }) {
  const said = [];
  if (usage) {
    said.push(`${usage.total} tokens (${usage.input} in, ${usage.output} out`);
    if (usage.reasoning) said[0] += `, ${usage.reasoning} thinking`;
    if (usage.cacheRead) said[0] += `, ${usage.cacheRead} from cache`;
    said[0] += ")";
  }
  if (cost) said.push(cost.total === null ? "unpriced" : `$${cost.total}`);
  if (durationMs !== undefined) said.push(`${(durationMs / 1000).toFixed(1)} s`);
  return said.join(" · ");
}

/** The refusal in words. */
async function reason(answer) {
  try {
    const { error } = await answer.json();
    if (answer.status === 404) return `${error.message} (You must be a member of the workspace to try its agents.)`;
    return error.message;
  } catch {
    return `The server answered with status ${answer.status}.`;
  }
}

/** The chunks of an SSE body; lines and letters may be cut anywhere by the network. */
async function* chunks(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const lines = rest.split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ")) yield JSON.parse(line.slice(6));
    }
    if (done) return;
  }
}
