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

/** Storage as a browser has it. */
export class FakeStorage {
  #items = new Map();

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
