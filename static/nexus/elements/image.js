/**
 * `<nexus-image data-src="https://…">name</nexus-image>`: an image that an answer names. It is loaded only after a
 * click, because a request to a foreign host tells that host who read what. The page's own files are shown at once.
 */
import { h, icon } from "../lib/dom.js";

export class NexusImage extends HTMLElement {
  connectedCallback() {
    if (this.dataset.shown !== undefined) return;
    this.dataset.shown = "";
    const source = this.dataset.src ?? "";
    const name = this.textContent.trim() || "image";
    if (source.startsWith("/api/files/")) {
      this.replaceChildren(h("img.shot", { src: source, alt: name, loading: "lazy" }));
      return;
    }
    let host = "";
    try {
      host = new URL(source).host;
    } catch {
      this.replaceChildren(h("span.mut", {}, name));
      return;
    }
    // The page's policy loads nothing from other hosts, so the image opens in its own tab, without a referrer.
    this.replaceChildren(
      h("a.remote", { href: source, target: "_blank", rel: "noopener noreferrer nofollow", title: source }, icon("image", "s"), h("span.cut", {}, name), h("span.mut", {}, `open at ${host}`)),
    );
  }

  takeOver(wanted) {
    return wanted.dataset.src === this.dataset.src;
  }
}

customElements.define("nexus-image", NexusImage);
