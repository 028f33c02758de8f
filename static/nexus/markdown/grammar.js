/**
 * The markdown that answers are written in: GitHub's, with math. One instance of marked, so that the reader of
 * blocks and the writer of HTML agree.
 */
import { Marked } from "marked";

const escapes = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
const escape = (text) => String(text ?? "").replace(/[&<>"']/g, (sign) => escapes[sign]);

const renderer = {
  code({ text, lang }) {
    const language = /^[\w+#.-]+/.exec(lang ?? "")?.[0] ?? "";
    return `<nexus-code-block data-lang="${escape(language)}"><pre tabindex="0"><code>${escape(text)}\n</code></pre></nexus-code-block>`;
  },
  /** Headings stand below the name of who answers, which is one of the second level. */
  heading({ tokens, depth }) {
    const level = depth <= 3 ? 3 : 4;
    return `<h${level}${depth <= 2 ? ' class="big"' : ""}>${this.parser.parseInline(tokens)}</h${level}>\n`;
  },
  /** Nothing is loaded from elsewhere by itself: the element asks first. */
  image({ href, text, title }) {
    return `<nexus-image data-src="${escape(href)}" title="${escape(title ?? text)}">${escape(text || "image")}</nexus-image>`;
  },
  table(token) {
    const row = (cells) => `<tr>${cells.map((cell) => this.tablecell(cell)).join("")}</tr>`;
    const body = token.rows.map(row).join("");
    return `<div class="tw" tabindex="0"><table><thead>${row(token.header)}</thead>${body ? `<tbody>${body}</tbody>` : ""}</table></div>`;
  },
};

/** `$$…$$` and `\[…\]` on lines of their own, `$…$` and `\(…\)` in the text. `$5 and $6` is money. */
const math = [
  {
    name: "mathBlock",
    level: "block",
    start: (src) => src.match(/\$\$|\\\[/)?.index,
    tokenizer(src) {
      const match = /^\$\$\s*([^$]+?)\s*\$\$(?:\n+|$)/.exec(src) ?? /^\\\[\s*([\s\S]+?)\s*\\\](?:\n+|$)/.exec(src);
      return match ? { type: "mathBlock", raw: match[0], text: match[1] } : undefined;
    },
    renderer: (token) => `<nexus-math data-display="block">${escape(token.text)}</nexus-math>`,
  },
  {
    name: "mathInline",
    level: "inline",
    start: (src) => src.match(/\$|\\\(/)?.index,
    tokenizer(src) {
      const match = /^\$(?![\s$])((?:\\.|[^$\\\n])+?)(?<!\s)\$(?![\d\w$])/.exec(src) ?? /^\\\(([^\n]+?)\\\)/.exec(src);
      return match ? { type: "mathInline", raw: match[0], text: match[1] } : undefined;
    },
    renderer: (token) => `<nexus-math>${escape(token.text)}</nexus-math>`,
  },
];

const md = new Marked({ gfm: true, breaks: false, renderer, extensions: math });

/**
 * @param {string} text
 * @param {object} [links] targets of reference links known so far; those found are added
 * @returns {object[]} tokens with `links`
 */
export function lex(text, links = {}) {
  const lexer = new md.Lexer(md.defaults);
  Object.assign(lexer.tokens.links, links);
  const tokens = lexer.lex(text);
  Object.assign(links, tokens.links);
  return tokens;
}

/** Unsafe HTML of tokens: only `html.js` may use it, which sanitises it. */
export function toHtml(tokens) {
  return md.Parser.parse(tokens, md.defaults);
}
