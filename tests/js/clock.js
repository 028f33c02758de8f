/** A clock that the tests move: Node's mock timers, with promises settled between the steps. */
import { mock } from "node:test";

const STEP_MS = 100;
const flush = () => new Promise((done) => setImmediate(done));

export const clock = {
  start: () => mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.now() }),
  stop: () => mock.timers.reset(),
  /** Moves on at once; what promises do follows later. */
  move(ms) {
    for (let left = ms; left > 0; left -= STEP_MS) mock.timers.tick(Math.min(STEP_MS, left));
  },
  /** Moves on step by step, and lets promises do their part after each. */
  async pass(ms) {
    await flush();
    for (let left = ms; left > 0; left -= STEP_MS) {
      mock.timers.tick(Math.min(STEP_MS, left));
      await flush();
    }
  },
  /** The machine sleeps, or the page is frozen: afterwards all timers that were due fire in one moment, late. */
  sleep: (ms) => mock.timers.tick(ms),
};
