/**
 * Markdown that is still being written, cut into blocks. Pure.
 *
 * All blocks but the last are settled: what is written later cannot change them any more, so they are drawn
 * once. Only the last one is read again, with what its author has not closed yet closed for now.
 */
import remend from "remend";

import { lex } from "./grammar.js";

/** @typedef {{raw: string, tokens: object[], open: boolean}} Block */

const FENCE = /^ {0,3}(`{3,}|~{3,})/;
const SILENT = new Set(["space", "def"]);

export class BlockReader {
  constructor() {
    this.#reset();
  }

  #reset() {
    this.text = "";
    /** How far the settled blocks reach in the text. */
    this.settled = 0;
    /** How many blocks are settled. */
    this.count = 0;
    this.links = {};
  }

  /**
   * @param {string} text the whole text so far
   * @param {boolean} done whether nothing follows any more
   * @returns {{from: number, blocks: Block[]}} the blocks from the index `from` on; those before did not change
   */
  read(text, done) {
    if (!text.startsWith(this.text.slice(0, this.settled))) this.#reset();
    this.text = text;
    if (done) return this.#readWhole();
    const from = this.count;
    const tail = lex(text.slice(this.settled), this.links);
    const last = tail.findLastIndex((token) => token.type !== "space");
    const blocks = [];
    for (const token of tail.slice(0, Math.max(0, last))) {
      this.settled += token.raw.length;
      if (!SILENT.has(token.type)) blocks.push(block([token], token.raw, this.links));
    }
    this.count += blocks.length;
    const rest = text.slice(this.settled);
    if (rest.trim()) blocks.push(openBlock(rest, this.links));
    return { from, blocks };
  }

  /** At the end everything is read once more as a whole: a link's target may stand below its use. */
  #readWhole() {
    const tokens = lex(this.text);
    const blocks = tokens.filter((token) => !SILENT.has(token.type)).map((token) => block([token], token.raw, tokens.links));
    this.count = blocks.length;
    this.settled = this.text.length;
    return { from: 0, blocks };
  }
}

function block(tokens, raw, links, open = false) {
  tokens.links = links;
  return { raw, tokens, open };
}

/** The block that is being written. An open fence stays open: what it holds is code, not markdown. */
function openBlock(raw, links) {
  const text = FENCE.test(raw) ? raw : remend(raw);
  return block(lex(text, { ...links }), raw, links, true);
}

/** Whether a fenced block has its closing fence; only then it can be copied. */
export function isFenceClosed(raw) {
  const opening = FENCE.exec(raw);
  if (!opening) return true;
  const fence = opening[1];
  return raw.trimEnd().split("\n").slice(1).some((line) => line.trim().startsWith(fence) && /^[`~]+$/.test(line.trim()));
}
