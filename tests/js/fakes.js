/** A server on the other end of a socket that a test drives by hand. */

export class FakeSocket {
  static all = [];

  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    this.readyState = 0;
    this.sent = [];
    FakeSocket.all.push(this);
  }

  static get last() {
    return FakeSocket.all.at(-1);
  }

  /** Frames of one type that the client sent. */
  framesOf(type) {
    return this.sent.filter((frame) => frame.type === type);
  }

  send(text) {
    const frame = JSON.parse(text);
    this.sent.push(frame);
    this.answer?.(frame);
  }

  close() {
    this.readyState = 3;
  }

  /** The server lets the client in. */
  welcome() {
    this.readyState = 1;
    this.say({ type: "welcome", connectionId: "x", user: { id: "u1", name: "Maya" }, workspace: { slug: "w" }, protocol: 1 });
  }

  say(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  /** The connection ends. */
  end(code = 1006) {
    this.readyState = 3;
    this.onclose?.({ code });
  }
}

/** A server with a memory: conversation `c1`, messages by clientId, `up` and `down`. Give `server.Socket` to a link. */
export class FakeServer {
  messages = [];
  starts = 0;
  /** A frame type that is carried out but not answered. */
  deaf = null;
  /** The refusal of every message. */
  refuse = null;
  #sockets = new Set();
  #runs = new Map();
  #there = true;

  constructor() {
    const server = this;
    this.Socket = class extends FakeSocket {
      constructor(...args) {
        super(...args);
        queueMicrotask(() => server.#knock(this));
      }
    };
  }

  stored() {
    return this.messages.map((message) => message.content);
  }

  down() {
    this.#there = false;
    for (const socket of [...this.#sockets]) socket.end(1006);
    this.#sockets.clear();
  }

  up() {
    this.#there = true;
  }

  /** To everyone who is connected. */
  tell(frame) {
    for (const socket of this.#sockets) if (socket.readyState === 1) socket.say(frame);
  }

  #knock(socket) {
    if (socket.readyState !== 0) return;
    if (!this.#there) return socket.end(1006);
    this.#sockets.add(socket);
    socket.answer = (frame) => this.#answer(socket, frame);
    socket.welcome();
  }

  #answer(socket, frame) {
    if (frame.type === "ping") socket.say({ type: "pong" });
    if (frame.type === "subscribe") socket.say({ type: "subscribed", id: frame.id, conversation: { id: "c1", title: "T" }, messages: this.messages, runs: [], members: [], presence: [] });
    if (frame.type === "run.start") this.#start(socket, frame);
  }

  #start(socket, frame) {
    this.starts += 1;
    if (this.refuse) return socket.say({ type: "error", id: frame.id, ...this.refuse });
    const known = this.#runs.get(frame.clientId);
    const number = known ?? this.messages.length + 1;
    const message = { id: `m${number}`, number, conversationId: "c1", role: "user", content: frame.input, createdAt: new Date(number * 1000).toISOString() };
    if (!known) {
      this.#runs.set(frame.clientId, number);
      this.messages.push(message);
    }
    if (this.deaf === "run.start") return;
    socket.say({ type: "run.accepted", id: frame.id, clientId: frame.clientId, runId: `r${number}`, conversationId: "c1", messageId: `m${number}` });
    if (!known) this.tell({ type: "message.created", conversationId: "c1", message });
  }
}

/** Storage as a browser has it. */
export class FakeStorage {
  #items = new Map();

  get length() {
    return this.#items.size;
  }

  key(index) {
    return [...this.#items.keys()][index] ?? null;
  }

  getItem(key) {
    return this.#items.get(key) ?? null;
  }

  setItem(key, value) {
    this.#items.set(key, String(value));
  }

  removeItem(key) {
    this.#items.delete(key);
  }
}
