/**
 * Turns one tree into another with as few changes as possible, so that a block that grows keeps its nodes: a
 * selection in it stays, and nothing is laid out twice.
 */

/** Makes `target`'s children equal to `source`'s. Elements that draw themselves (`nexus-*`) are asked to take the new text over. */
export function morphChildren(target, source) {
  const next = [...source.childNodes];
  next.forEach((wanted, index) => {
    const have = target.childNodes[index];
    if (!have) target.append(wanted);
    else if (!morphNode(have, wanted)) have.replaceWith(wanted);
  });
  while (target.childNodes.length > next.length) target.lastChild.remove();
}

function morphNode(have, wanted) {
  if (have.nodeType !== wanted.nodeType || have.nodeName !== wanted.nodeName) return false;
  if (have.nodeType === 3) {
    if (have.data !== wanted.data) {
      // Appending keeps what a reader selected in the part before.
      if (wanted.data.startsWith(have.data)) have.appendData(wanted.data.slice(have.data.length));
      else have.data = wanted.data;
    }
    return true;
  }
  if (have.nodeType !== 1) return false;
  if (typeof have.takeOver === "function") return have.takeOver(wanted);
  for (const { name } of [...have.attributes]) if (!wanted.hasAttribute(name) && name !== "open") have.removeAttribute(name);
  for (const { name, value } of wanted.attributes) if (have.getAttribute(name) !== value) have.setAttribute(name, value);
  morphChildren(have, wanted);
  return true;
}
