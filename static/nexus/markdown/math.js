/** Formulas: TeX to MathML, which browsers draw themselves: no fonts, no styles. Loaded when the first formula appears. */
import katex from "katex";

/**
 * @param {string} tex
 * @param {boolean} display on a line of its own
 * @returns {string|null} MathML, or null when the formula cannot be read
 */
export function toMathML(tex, display) {
  try {
    return katex.renderToString(tex, { output: "mathml", displayMode: display, throwOnError: true, strict: "ignore", trust: false, maxExpand: 200, maxSize: 20 });
  } catch {
    return null;
  }
}
