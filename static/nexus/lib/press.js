/**
 * What changes by itself must not take a button or a link away from under a finger: a click whose target was replaced
 * or moved between pressing and letting go is lost, or another's.
 */

let pressed = null;
/** What is to be drawn when they let go: element → draw. */
const held = new Map();

/** Calls `draw`, which changes what is in the element, now; while somebody presses there, when they let go. */
export function drawUnpressed(element, draw) {
  if (pressed && element.contains(pressed)) return void held.set(element, draw);
  held.delete(element);
  draw();
}

function letGo() {
  pressed = null;
  setTimeout(() => {
    // Behind the click that follows.
    if (pressed) return;
    const draws = [...held.values()];
    held.clear();
    for (const draw of draws) draw();
  });
}

// From the beginning: somebody may press before anything was drawn here. (Without a page, in tests, nobody does.)
const listen = globalThis.addEventListener?.bind(globalThis) ?? (() => {});
listen("pointerdown", (event) => (pressed = event.button === 0 ? event.target : null), { capture: true });
for (const end of ["pointerup", "pointercancel"]) listen(end, letGo, { capture: true });
// Over a scrollbar, a menu of the browser or another window nobody tells that it was let go.
listen("pointermove", ({ buttons }) => pressed && !buttons && letGo(), { capture: true, passive: true });
