/**
 * One WebSocket that is always on its way back: reconnects with jitter, pings, and gives a silent link up.
 *
 * Timers stand still while a machine sleeps or a page is frozen. One that fires late is therefore no proof of
 * anything: the link is asked again, with little patience, instead of being given up unheard.
 *
 * It knows frames only as objects with a `type`. What they mean is the client's.
 *
 * Events (`CustomEvent`): `frame` {frame} · `open` {frame: welcome} · `status` {status, code, retryAt}.
 * Statuses: `connecting` · `live` · `offline` (trying again at `retryAt`) · `signed-out` (4401) ·
 * `forbidden` (4403) · `closed` (by us).
 */

/**
 * Times in ms. From PROTOCOL: a ping every 20 s, a silent link is given up 10 s later. `late`: a timer so much behind
 * its time slept; `look`: how often that is looked for; `steady`: a link that lived shorter did not really come back.
 */
export const TIMES = { ping: 20_000, silence: 10_000, wake: 3_000, firstRetry: 500, maxRetry: 15_000, flooded: 10_000, handshake: 15_000, steady: 10_000, look: 5_000, late: 4_000 };

export const CLOSE = { signedOut: 4401, forbidden: 4403, flooded: 4429, tooLarge: 4009, tooSlow: 4008, restart: 4012 };

const realClock = {
  now: () => Date.now(),
  setTimeout: (fn, ms) => globalThis.setTimeout(fn, ms),
  clearTimeout: (id) => globalThis.clearTimeout(id),
  random: () => Math.random(),
};

export class Link extends EventTarget {
  #socket = null;
  #timers = new Map();
  #failures = 0;
  #stopped = true;
  #since = 0;

  /**
   * @param {object} options
   * @param {string} options.url `ws:` or `wss:` address
   * @param {string[]} [options.protocols] subprotocols, e.g. `["nexus.v1", "ticket.…"]`
   * @param {typeof WebSocket} [options.WebSocket]
   * @param {typeof realClock} [options.clock] for tests
   * @param {() => Promise<"ok"|"signed-out"|"forbidden"|"down">} [options.probe] asked when the door stays shut, because
   *   a browser does not tell a page why a handshake was refused
   */
  constructor({ url, protocols = ["nexus.v1"], WebSocket = globalThis.WebSocket, clock = realClock, probe = null }) {
    super();
    this.url = url;
    this.protocols = protocols;
    this.WebSocket = WebSocket;
    this.clock = clock;
    this.probe = probe;
    this.status = "closed";
    this.retryAt = null;
    /** The code of the last close, 0 before the first. */
    this.lastCode = 0;
  }

  get isOpen() {
    return this.status === "live";
  }

  open() {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#look();
    this.#connect();
  }

  /** Closes for good, until `open()`. */
  close() {
    this.#stopped = true;
    this.#clear("look");
    this.#drop(1000);
    this.#setStatus("closed");
  }

  /** Tries now instead of waiting for the next try. */
  retryNow() {
    if (this.#stopped || this.status === "live" || this.status === "connecting") return;
    this.#clear("retry");
    this.#connect();
  }

  /**
   * After sleep, a change of network, or when the page is looked at again: a dead link must show itself within a few
   * seconds. One that was turned away asks whether the door is open again, say after a log-in in another tab.
   */
  wake() {
    if (this.status === "signed-out" || this.status === "forbidden") return this.#askAgain();
    if (this.#stopped) return;
    if (this.status === "live") this.#sendPing(TIMES.wake);
    else if (this.status === "offline") this.retryNow();
    else if (this.clock.now() - this.#since > TIMES.wake) this.#startOver();
  }

  /**
   * @param {object} frame
   * @returns {boolean} whether it was handed to an open socket
   */
  send(frame) {
    if (!this.isOpen || this.#socket.readyState !== 1) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  #connect() {
    this.#since = this.clock.now();
    this.#setStatus("connecting");
    const socket = new this.WebSocket(this.url, this.protocols);
    this.#socket = socket;
    this.#after("silence", TIMES.handshake, (late) => (late ? this.#startOver() : this.#giveUp(socket)));
    socket.onmessage = (event) => this.#heard(socket, event.data);
    socket.onclose = (event) => this.#closed(socket, event.code);
    socket.onerror = () => {};
  }

  #heard(socket, data) {
    if (socket !== this.#socket) return;
    this.#clear("silence");
    let frame;
    try {
      frame = JSON.parse(data);
    } catch {
      return; // not ours; the server's frames are JSON objects
    }
    if (frame.type === "welcome") {
      this.#since = this.clock.now();
      this.retryAt = null;
      this.#setStatus("live");
      this.#schedulePing();
      this.dispatchEvent(new CustomEvent("open", { detail: { frame } }));
    }
    if (frame.type !== "pong") this.dispatchEvent(new CustomEvent("frame", { detail: { frame } }));
  }

  #schedulePing() {
    this.#after("ping", TIMES.ping, (late) => {
      this.#sendPing(late ? TIMES.wake : TIMES.silence);
      this.#schedulePing();
    });
  }

  /** A ping that waits for its answer is not given more time by another one. */
  #sendPing(patience) {
    const socket = this.#socket;
    if (!this.isOpen || socket.readyState !== 1) return;
    const waiting = this.#timers.get("silence");
    if (!waiting || waiting.due > this.clock.now() + patience) {
      this.#after("silence", patience, (late) => (late ? this.#sendPing(TIMES.wake) : this.#giveUp(socket)));
    }
    this.send({ type: "ping" });
  }

  /** An attempt that hangs, from before a sleep or in a network that is gone, is left for a new one. */
  #startOver() {
    this.#drop(1000);
    this.#connect();
  }

  /** Notices that time has jumped: the machine slept, or the page was frozen, and no event said so. */
  #look() {
    this.#after("look", TIMES.look, (late) => {
      this.#look();
      if (late) this.wake();
    });
  }

  /** A socket that does not answer is not waited for: its close may take minutes. */
  #giveUp(socket) {
    if (socket !== this.#socket) return;
    this.#closed(socket, 1006);
    try {
      socket.close();
    } catch {
      // it was dead already
    }
  }

  #drop(code) {
    const socket = this.#socket;
    this.#socket = null;
    this.#clear("retry");
    this.#clear("ping");
    this.#clear("silence");
    if (!socket) return;
    socket.onmessage = socket.onclose = socket.onerror = null;
    if (socket.readyState <= 1) socket.close(code);
  }

  #closed(socket, code) {
    if (socket !== this.#socket) return;
    const wasLive = this.status === "live";
    const steady = wasLive && this.clock.now() - this.#since >= TIMES.steady;
    this.lastCode = code;
    this.#socket = null;
    this.#clear("ping");
    this.#clear("silence");
    this.dispatchEvent(new CustomEvent("lost", { detail: { code } }));
    if (this.#stopped) return;
    if (code === CLOSE.signedOut) return this.#end("signed-out", code);
    if (code === CLOSE.forbidden) return this.#end("forbidden", code);
    this.#failures = steady ? 0 : this.#failures + 1;
    this.#retryIn(this.#delay(code, wasLive), code);
    if (!wasLive && this.#failures >= 2 && this.probe) this.#askWhy();
  }

  async #askWhy() {
    const why = await this.probe().catch(() => "down");
    if (this.#stopped || this.status === "live") return;
    if (why === "signed-out" || why === "forbidden") {
      this.#drop(1000);
      this.#end(why, this.lastCode);
    }
  }

  /** The door was shut: a session may have come back meanwhile. */
  async #askAgain() {
    if (!this.probe || (await this.probe().catch(() => "down")) !== "ok") return;
    if (this.status !== "signed-out" && this.status !== "forbidden") return;
    this.#failures = 0;
    this.open();
  }

  #end(status, code) {
    this.#stopped = true;
    this.#clear("look");
    this.#setStatus(status, code);
  }

  /** Full jitter over an exponential window, so that a restart does not bring everyone back in one moment. */
  #delay(code, wasLive) {
    if (code === CLOSE.flooded) return TIMES.flooded * (1 + this.clock.random());
    if (code === CLOSE.tooSlow && wasLive && this.#failures < 2) return TIMES.firstRetry * this.clock.random();
    const window = Math.min(TIMES.maxRetry, TIMES.firstRetry * 2 ** Math.max(1, this.#failures));
    return TIMES.firstRetry / 2 + window * this.clock.random();
  }

  #retryIn(ms, code) {
    this.retryAt = this.clock.now() + ms;
    this.#setStatus("offline", code);
    this.#after("retry", ms, () => this.#connect());
  }

  #setStatus(status, code = null) {
    this.status = status;
    this.dispatchEvent(new CustomEvent("status", { detail: { status, code, retryAt: this.retryAt } }));
  }

  /** `fn(late)`: whether it was called much later than asked for. */
  #after(name, ms, fn) {
    this.#clear(name);
    const due = this.clock.now() + ms;
    const id = this.clock.setTimeout(() => {
      this.#timers.delete(name);
      fn(this.clock.now() - due > TIMES.late);
    }, ms);
    this.#timers.set(name, { id, due });
  }

  #clear(name) {
    if (!this.#timers.has(name)) return;
    this.clock.clearTimeout(this.#timers.get(name).id);
    this.#timers.delete(name);
  }
}
