"""A hand on a page's own socket: hold it back before it connects, or break it."""

from __future__ import annotations

from playwright.sync_api import Page

from .conftest import live

HANDS = """
window.__sockets = new Set();
const Real = window.WebSocket;
const go = window.__held ? new Promise((resolve) => { window.__release = resolve; }) : null;
window.__welcomes = 0;
const watched = (socket) => {
  window.__sockets.add(socket);
  socket.addEventListener("message", ({data}) => { if (data.includes('"welcome"')) window.__welcomes += 1; });
  socket.addEventListener("close", () => window.__sockets.delete(socket));
  return socket;
};
window.WebSocket = !go ? class extends Real { constructor(...args) { super(...args); watched(this); } } : class {
  constructor(...args) {
    go.then(() => {
      if (this.closed) return;
      this.real = watched(new Real(...args));
      for (const name of ["onmessage", "onclose", "onerror"]) this.real[name] = (event) => this[name]?.(event);
    });
  }
  get readyState() { return this.real?.readyState ?? 0; }
  send(text) { this.real.send(text); }
  close(...args) { this.closed = true; this.real?.close(...args); }
};
"""


def watch(page: Page) -> None:
    """From the next page on its sockets can be broken."""
    page.add_init_script(HANDS)


def hold(page: Page) -> None:
    """From the next page on no socket connects before `release`."""
    page.add_init_script("window.__held = true;" + HANDS)


def release(page: Page) -> None:
    page.evaluate("() => window.__release()")
    live(page)


def break_link(page: Page) -> None:
    """Its socket ends; back when the page has a new one."""
    before = page.evaluate(
        "() => { for (const one of window.__sockets) one.close(); return window.__welcomes; }"
    )
    page.wait_for_function("(before) => window.__welcomes > before", arg=before, timeout=40_000)
    live(page)
