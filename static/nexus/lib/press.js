/**
 * What changes by itself must not take a button or a link away from under a finger: a click whose target was replaced
 * or moved between pressing and letting go is lost, or another's.
 */

let pressed = null;
/** What is to be drawn when they let go: element → draw. */
const held = new Map();
let listening = false;

/** Calls `draw`, which changes what is in the element, now; while somebody presses there, when they let go. */
export function drawUnpressed(element, draw) {
  listen();
  if (pressed && element.contains(pressed)) return void held.set(element, draw);
  held.delete(element);
  draw();
}

function listen() {
  if (listening) return;
  listening = true;
  const capture = { capture: true };
  addEventListener("pointerdown", (event) => (pressed = event.button === 0 ? event.target : null), capture);
  // After a menu of the browser, or where the window goes, nobody tells that it was let go.
  for (const end of ["pointerup", "pointercancel", "contextmenu"]) addEventListener(end, letGo, capture);
  addEventListener("blur", letGo); // the window's own; a field's, which a press takes the focus from, does not bubble
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
