/**
 * What changes by itself must not take a button away from under a finger: a click whose button was replaced between
 * pressing and letting go is nobody's click, and is lost.
 */

let pressed = null;
/** What is to be drawn when they let go: element → draw. */
const held = new Map();

const letGo = () => {
  pressed = null;
  // Behind the click that follows.
  setTimeout(() => {
    if (pressed) return;
    const draws = [...held.values()];
    held.clear();
    for (const draw of draws) draw();
  });
};
document.addEventListener("pointerdown", ({ target }) => (pressed = target), { capture: true });
document.addEventListener("pointerup", letGo, { capture: true });
document.addEventListener("pointercancel", letGo, { capture: true });

/** Calls `draw`, which replaces what is in the element, now; while somebody presses there, when they let go. */
export function drawUnpressed(element, draw) {
  if (pressed && element.contains(pressed)) return void held.set(element, draw);
  held.delete(element);
  draw();
}
