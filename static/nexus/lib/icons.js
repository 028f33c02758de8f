/**
 * The sprite, once in the page itself: icons that are made later need no request, and are there when the server is not.
 */
let inPage = false;

const address = () => document.querySelector('meta[name="nexus-icons"]')?.content ?? "/static/dist/icons.svg";

/** Where an icon's drawing is: `#icon-x` once the sprite is in the page, before that in its file. */
export function iconReference(name) {
  return inPage ? `#icon-${name}` : `${address()}#${name}`;
}

export async function loadIcons() {
  try {
    const text = await (await fetch(address())).text();
    const sprite = document.importNode(new DOMParser().parseFromString(text, "image/svg+xml").documentElement, true);
    for (const symbol of sprite.querySelectorAll("symbol")) symbol.id = `icon-${symbol.id}`;
    sprite.setAttribute("class", "sr");
    sprite.setAttribute("aria-hidden", "true");
    document.body.append(sprite);
    inPage = true;
  } catch {
    // each icon asks for the file then, as the server's templates do
  }
}
