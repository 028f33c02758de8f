/**
 * Markdown tokens to a safe DOM fragment. The only place of the browser side where HTML is made from text, and
 * DOMPurify is its last step: nothing is added after it.
 */
import DOMPurify from "dompurify";

import { toHtml } from "./grammar.js";

const TAGS = [
  "a", "abbr", "b", "blockquote", "br", "code", "del", "details", "div", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr",
  "i", "input", "ins", "kbd", "li", "mark", "nexus-code-block", "nexus-image", "nexus-math", "ol", "p", "pre", "q", "s",
  "small", "span", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
]; // prettier-ignore
const ATTRIBUTES = [
  "align", "checked", "class", "colspan", "data-display", "data-lang", "data-src", "disabled", "href", "rowspan", "start", "tabindex",
  "title", "type",
]; // prettier-ignore
/** Classes that our own renderer gives. Others are dropped: text must not dress up as a part of the page. */
const CLASSES = new Set(["big", "tw"]);
const OPTIONS = { ALLOWED_TAGS: TAGS, ALLOWED_ATTR: ATTRIBUTES, ALLOW_DATA_ATTR: false, ALLOW_ARIA_ATTR: false };

let purifier = null;

function purify() {
  if (purifier) return purifier;
  const made = DOMPurify(window);
  // It would give the text back as it is.
  if (!made.isSupported) throw new Error("This browser cannot clean HTML.");
  purifier = made;
  purifier.addHook("uponSanitizeAttribute", (node, data) => {
    if (data.attrName === "class") data.keepAttr = CLASSES.has(data.attrValue);
    if (data.attrName === "type") data.keepAttr = node.nodeName === "INPUT" && data.attrValue === "checkbox";
    if (data.attrName === "data-src") data.keepAttr = /^https?:\/\//i.test(data.attrValue) || /^\/api\/files\/[\w-]+$/.test(data.attrValue);
    if (data.attrName === "href") data.keepAttr = isLink(data.attrValue);
  });
  purifier.addHook("afterSanitizeAttributes", (node) => {
    if (node.nodeName === "INPUT") {
      node.setAttribute("type", "checkbox");
      node.setAttribute("disabled", "");
    }
    if (node.nodeName === "A" && node.hasAttribute("href")) {
      node.setAttribute("rel", "noopener noreferrer nofollow");
      if (/^https?:/i.test(node.getAttribute("href"))) node.setAttribute("target", "_blank");
    }
  });
  return purifier;
}

/** @returns {DocumentFragment} empty where nothing was left, not even a body: `<frameset>` takes its place. */
function sanitised(html, options) {
  return purify().sanitize(html, { ...options, RETURN_DOM_FRAGMENT: true }) ?? document.createDocumentFragment();
}

/** Web addresses, mail, and places of this page's own host. What is not whole yet while it is written is no link. */
function isLink(href) {
  if (href.startsWith("streamdown:")) return false;
  return /^(https?:\/\/|mailto:)/i.test(href) || /^(\/(?![/\\])|#)/.test(href);
}

/**
 * @param {object[]} tokens of `blocks.js`
 * @returns {DocumentFragment} safe to insert
 */
export function toFragment(tokens) {
  return sanitised(toHtml(tokens), OPTIONS);
}

/**
 * Highlighted code: only spans with their colour pass.
 * @param {string} html of `highlight.js`
 * @returns {DocumentFragment}
 */
export function highlighted(html) {
  return sanitised(html, { ALLOWED_TAGS: ["span"], ALLOWED_ATTR: ["data-c"], ALLOW_DATA_ATTR: false });
}

/** MathML of KaTeX; no styles, no links. @returns {DocumentFragment} */
export function mathMarkup(html) {
  return sanitised(html, { USE_PROFILES: { mathMl: true }, ADD_TAGS: ["semantics", "annotation"], FORBID_ATTR: ["style", "href", "class", "id"] });
}
