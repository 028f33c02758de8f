/** Drawing is batched: whatever asks to be drawn during a frame is drawn once, at the next one. */

const waiting = new Set();
let asked = false;

/** Calls `draw` at the next animation frame, once, however often it is asked for. */
export function schedule(draw) {
  waiting.add(draw);
  if (asked) return;
  asked = true;
  const run = () => {
    asked = false;
    const batch = [...waiting];
    waiting.clear();
    for (const one of batch) one();
  };
  // A hidden tab gets no animation frames; its title and its announcements still matter.
  if (document.visibilityState === "hidden") setTimeout(run, 250);
  else requestAnimationFrame(run);
}

/** One clock for all that counts seconds on the page: elements that tick are told every 200 ms, while any is there. */
const ticking = new Set();
let timer = null;

export function tick(listener) {
  ticking.add(listener);
  timer ??= setInterval(() => {
    const now = Date.now();
    for (const one of ticking) one(now);
  }, 200);
  return () => {
    ticking.delete(listener);
    if (!ticking.size) {
      clearInterval(timer);
      timer = null;
    }
  };
}
