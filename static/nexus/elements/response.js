/**
 * `<nexus-response>`: an answer's words, as they are written.
 *
 * Properties: `text` (all of it so far), `streaming` (set after `text`). Settled blocks are drawn once; the last
 * one is drawn again at most once per frame, by changing its nodes instead of replacing them. What the server drew
 * stays until `text` is set.
 */
import { schedule } from "../lib/schedule.js";
import { BlockReader, isFenceClosed } from "../markdown/blocks.js";
import { toFragment } from "../markdown/html.js";
import { morphChildren } from "../markdown/morph.js";

export class NexusResponse extends HTMLElement {
  #text = null;
  #streaming = false;
  #reader = new BlockReader();
  /** One wrapper per block, with the raw markdown that it shows. */
  #blocks = [];
  #draw = () => this.#render();

  get text() {
    return this.#text ?? this.textContent;
  }

  set text(text) {
    if (text === this.#text) return;
    if (this.#text === null) this.replaceChildren();
    this.#text = text;
    schedule(this.#draw);
  }

  get streaming() {
    return this.#streaming;
  }

  set streaming(streaming) {
    if (streaming === this.#streaming) return;
    this.#streaming = streaming;
    this.toggleAttribute("streaming", streaming);
    if (streaming) schedule(this.#draw);
    else this.#render(); // nobody sees an answer marked as done that lacks its last words
  }

  connectedCallback() {
    this.classList.add("md");
  }

  /** Draws now instead of at the next frame. */
  flush() {
    this.#render();
  }

  #render() {
    if (this.#text === null) return;
    const { from, blocks } = this.#reader.read(this.#text, !this.#streaming);
    blocks.forEach((block, offset) => this.#drawBlock(from + offset, block));
    for (const { element } of this.#blocks.splice(from + blocks.length)) element.remove();
  }

  #drawBlock(index, block) {
    const known = this.#blocks[index];
    if (known && known.raw === block.raw && known.open === block.open) return;
    const element = known?.element ?? document.createElement("div");
    if (!known) {
      element.className = "blk";
      this.insertBefore(element, this.children[index] ?? null);
    }
    morphChildren(element, toFragment(block.tokens));
    for (const code of element.querySelectorAll("nexus-code-block")) code.open = block.open && !isFenceClosed(block.raw);
    this.#blocks[index] = { element, raw: block.raw, open: block.open };
  }
}

customElements.define("nexus-response", NexusResponse);
