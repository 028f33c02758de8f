/** What never came: a piece behind a gap, the end of a run, the question of an answer. It is looked for, and asked for. */
import { isLive } from "./run.js";

/** A replay that brought nothing is asked for again, ms. */
const REPLAY_MS = 4_000;
/** A run that says nothing for so long is asked for what may have been lost; doubled each time, up to the second, ms. */
const STILL_MS = [15_000, 120_000];

export class Replays {
  /** Per run: {at, from, wait}, when its log was asked for last, after which seq, and how long nothing may come. */
  asked = new Map();
  #count = 0;
  /** Ids of replays on their way: a refusal of one is nobody's error. */
  #ids = new Set();
  /** Runs for whose missing message the conversation was read again. */
  #reread = new Set();

  /**
   * @param {object} options
   * @param {(frame: object) => boolean} options.send gives a frame to an open socket; whether there was one
   * @param {() => void} options.reopen reads the conversation again
   * @param {(gap: {runId: string, missing: number}) => void} options.gap hears of each gap that is asked for
   */
  constructor({ send, reopen, gap }) {
    Object.assign(this, { send, reopen, gap });
  }

  /** A new connection: what was asked on the last one is not answered any more. */
  clear() {
    this.asked.clear();
    this.#ids.clear();
    this.#reread.clear();
  }

  /** The conversation is read again: whose question is missing after that may have it read once more. */
  rereading() {
    this.#reread.clear();
  }

  /** Looks through the runs of the open conversation. */
  look(state) {
    const now = Date.now();
    for (const run of Object.values(state.runs)) {
      if (run.superseded || (run.conversationId && run.conversationId !== state.conversation.id)) continue;
      const behind = run.gapAt > run.lastSeq || (run.lastSeq > 0 && run.storedSeq > run.lastSeq);
      if (!isLive(run) && !behind) continue;
      const asked = this.asked.get(run.id) ?? { at: now, from: run.lastSeq, wait: STILL_MS[0] };
      if (asked.from !== run.lastSeq) Object.assign(asked, { at: now, from: run.lastSeq, wait: STILL_MS[0] });
      this.asked.set(run.id, asked);
      if (now - asked.at >= (behind ? REPLAY_MS : asked.wait)) this.ask(run);
      if (run.promptId && !state.messages[run.promptId] && run.lastSeq > 0 && !this.#reread.has(run.id)) {
        this.#reread.add(run.id);
        this.reopen();
      }
    }
  }

  /** What is missing is asked for once, and again only if nothing came for a while. */
  ask(run) {
    const asked = this.asked.get(run.id);
    const behind = run.gapAt > run.lastSeq;
    if (asked?.asked && Date.now() - asked.at < REPLAY_MS) return;
    const id = `r${++this.#count}`;
    this.#ids.add(id);
    if (!this.send({ type: "replay", id, runId: run.id, after: run.lastSeq })) return;
    this.asked.set(run.id, { at: Date.now(), from: run.lastSeq, asked: true, wait: Math.min((asked?.wait ?? STILL_MS[0]) * (behind ? 1 : 2), STILL_MS[1]) });
    if (behind) this.gap({ runId: run.id, missing: run.gapAt - run.lastSeq - 1 });
  }

  /** Whether an error refuses one: a run that may not be read any more, or a server in trouble. It is asked later, and nobody is told. */
  refused(frame) {
    return this.#ids.delete(frame.id);
  }
}
