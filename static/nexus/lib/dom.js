/** Small hands for the DOM. Text only: HTML goes through `markdown/` and nowhere else. */

import { iconReference } from "./icons.js";

const SVG = "http://www.w3.org/2000/svg";

/**
 * Makes an element: `h("button.ib", {type: "button", onclick}, icon("x"))`.
 * Properties that begin with `on` are listeners; `data` is a dataset; false, null and undefined leave an attribute out.
 * @param {string} spec tag and classes
 * @param {object} [properties]
 * @param {...(Node|string|number|null|false|undefined)} children
 * @returns {HTMLElement}
 */
export function h(spec, properties = {}, ...children) {
  const [tag, ...classes] = spec.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && typeof element[name] === "boolean") element[name] = Boolean(value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** A Lucide icon of the sprite, 16 px, or 14 px with `small`. */
export function icon(name, classes = "") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", `i ${classes}`.trim());
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", iconReference(name));
  svg.append(use);
  return svg;
}

/** State as icon, word and colour: never by colour alone. `kind`: run, ok, warn, bad, off. */
export function stateMark(kind, iconName, word, { loud = false, spin = false } = {}) {
  return h(`span.st.${kind}${loud ? ".loud" : ""}`, {}, icon(iconName, spin ? "s spin" : "s"), h("span", {}, word));
}

/** Replaces an element's children only where they differ in number or identity. */
export function setChildren(parent, children) {
  children.forEach((child, index) => {
    if (parent.childNodes[index] !== child) parent.insertBefore(child, parent.childNodes[index] ?? null);
  });
  while (parent.childNodes.length > children.length) parent.lastChild.remove();
}

/** Sets text without touching the DOM when nothing changed. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/** A person's or an agent's avatar: people are round, agents are square. */
export function avatar({ id, name, kind = "person", icon: glyph = "" }, size = "") {
  const classes = kind === "agent" ? "av agent" : `av ${personColour(id ?? name ?? "")}`;
  const mark = h("span", { class: `${classes} ${size}`.trim(), title: name, "aria-hidden": "true" });
  mark.textContent = kind === "agent" ? glyph || "◆" : initials(name);
  if (kind !== "agent") colourLater(mark, String(id ?? name ?? ""));
  return mark;
}

/** `Maya Lindqvist` → `ML`. */
export function initials(name) {
  const words = (name ?? "").match(/[\p{L}\p{N}_]+/gu) ?? ["?"];
  const second = words.length > 1 ? words.at(-1)[0] : (words[0][1] ?? "");
  return (words[0][0] + second).toUpperCase();
}

const colours = new Map();

/** One of three colours by the hash of the user's id, as the server's templates choose it. Until hashed: the first. */
export function personColour(id) {
  return colours.get(String(id)) ?? "a";
}

/** SHA-256 is asynchronous in a browser, and absent without HTTPS or localhost: then everyone has the first colour. */
function colourLater(mark, id) {
  if (colours.has(id) || !globalThis.crypto?.subtle) return;
  crypto.subtle.digest("SHA-256", new TextEncoder().encode(id)).then((digest) => {
    const colour = ["a", "b", "c"][new Uint8Array(digest)[0] % 3];
    colours.set(id, colour);
    mark.classList.remove("a", "b", "c");
    mark.classList.add(colour);
  });
}

/** Sends a bubbling event with details. */
export function emit(element, type, detail = {}) {
  return element.dispatchEvent(new CustomEvent(type, { detail, bubbles: true, cancelable: true }));
}

/** True where single keys must not act: somebody is writing. */
export function isEditing(target) {
  return target instanceof Element && Boolean(target.closest('input:not([type="checkbox"]):not([type="radio"]), textarea, select, [contenteditable=""], [contenteditable="true"]'));
}
