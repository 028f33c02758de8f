/**
 * `<nexus-usage-plot>`: columns stacked on each other, or lines, over the parts of a span. Drawn by uPlot, which only
 * the usage page loads. The pointer and the arrow keys read it out part by part; a table beside it says the same.
 *
 * Property `data`: `{kind: "stack"|"lines", label, unit, parts: {axis, full}[], series: {name, colour, values: (number|null)[],
 * told: string[]}[], total?: string[], axis: number[] → string[]}`. `colour` is a token's name, such as `c1`.
 */
import "./language.js";

import uPlot from "uplot";

import { h } from "../lib/dom.js";

const HEIGHT = 208;
const AXIS = 11;

export class NexusUsagePlot extends HTMLElement {
  #data = null;
  #plot = null;
  #tip = null;
  #size = null;
  #theme = null;
  #at = -1;

  connectedCallback() {
    this.#size = new ResizeObserver(() => this.#plot?.setSize({ width: this.clientWidth, height: HEIGHT }));
    this.#size.observe(this);
    const redraw = () => this.#draw();
    this.#theme = new MutationObserver(redraw);
    this.#theme.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.dark.onchange = redraw;
    if (this.#data) this.#draw();
  }

  disconnectedCallback() {
    this.#size?.disconnect();
    this.#theme?.disconnect();
    if (this.dark) this.dark.onchange = null;
    this.#plot?.destroy();
    this.#plot = null;
  }

  set data(data) {
    this.#data = data;
    if (this.isConnected) this.#draw();
  }

  get data() {
    return this.#data;
  }

  #draw() {
    const data = this.#data;
    this.#plot?.destroy();
    const last = data.parts.length - 1;
    this.#at = Math.min(this.#at, last);
    this.#tip = h("div.tip", { hidden: true });
    const place = h("div.canvas", {
      role: "slider", tabindex: "0", "aria-label": data.label, "aria-orientation": "horizontal",
      "aria-valuemin": 0, "aria-valuemax": Math.max(0, last), "aria-valuenow": Math.max(0, this.#at), "aria-valuetext": this.#text(Math.max(0, this.#at)),
      onkeydown: (event) => this.#key(event), onblur: () => this.#show(-1),
    });
    this.replaceChildren(this.#legend(), place, this.#tip);
    this.#plot = new uPlot(this.#options(place), this.#columns(), place);
  }

  #legend() {
    return h("ul.legend", {}, ...this.#data.series.map((one) => h("li", {}, h(`i.${one.colour}`, { "aria-hidden": "true" }), one.name)));
  }

  /** A stack is drawn from its top down, each column over the one that ends higher. */
  #columns() {
    const { kind, parts, series } = this.#data;
    const places = parts.map((_, index) => index);
    if (kind === "lines") return [places, ...series.map((one) => one.values)];
    const sums = [];
    let below = parts.map(() => 0);
    for (const one of series) {
      below = below.map((value, index) => value + (one.values[index] ?? 0));
      sums.unshift(below);
    }
    return [places, ...sums];
  }

  #options(place) {
    const { kind, parts, series, axis: lines } = this.#data;
    const style = getComputedStyle(this);
    const token = (name) => style.getPropertyValue(`--${name}`).trim();
    const font = `${AXIS}px ${getComputedStyle(document.body).fontFamily}`;
    const drawn = kind === "stack" ? [...series].reverse() : series;
    const bars = uPlot.paths.bars({ size: [0.82, 40], gap: 0, radius: [0.08, 0] });
    const axis = { stroke: token("text-3"), font, ticks: { show: false } };
    /** As many words as have room now: the width may come, and change, after the first drawing. */
    const labelled = ({ width }) => {
      const every = Math.ceil(parts.length / Math.max(1, Math.floor((width - 64) / 62)));
      return parts.map((_, index) => index).filter((index) => index % Math.max(1, every) === 0);
    };
    return {
      width: this.clientWidth, height: HEIGHT, legend: { show: false }, padding: [8, 4, 0, 0],
      cursor: { y: false, points: { show: kind === "lines" }, drag: { setScale: false, x: false, y: false } },
      scales: {
        x: { time: false, range: () => (kind === "stack" ? [-0.5, parts.length - 0.5] : [-0.2, Math.max(0.2, parts.length - 0.8)]) },
        y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] },
      },
      axes: [
        { ...axis, grid: { show: false }, size: 24, gap: 6, splits: labelled, values: (_, places) => places.map((index) => parts[index]?.axis ?? "") },
        { ...axis, grid: { stroke: token("line"), width: 1 }, size: 58, gap: 8, space: 44, values: (_, found) => lines(found) },
      ],
      series: [
        {},
        ...drawn.map((one) =>
          kind === "stack"
            ? { paths: bars, fill: token(one.colour), stroke: token("canvas"), width: 1, points: { show: false } }
            : { stroke: token(one.colour), width: 2, spanGaps: true, dash: one.dash, points: { show: parts.length < 2 || one.values.filter((v) => v !== null).length < 2, size: 6, fill: token(one.colour) } },
        ),
      ],
      hooks: { setCursor: [(plot) => document.activeElement !== place && this.#show(plot.cursor.idx ?? -1)] },
    };
  }

  #key(event) {
    const last = this.#data.parts.length - 1;
    const to = { ArrowRight: this.#at + 1, ArrowUp: this.#at + 1, ArrowLeft: this.#at - 1, ArrowDown: this.#at - 1, Home: 0, End: last, PageUp: this.#at + 7, PageDown: this.#at - 7 }[event.key];
    if (to === undefined) {
      if (event.key === "Escape") this.#show(-1);
      return;
    }
    event.preventDefault();
    this.#show(Math.min(last, Math.max(0, to)), true);
  }

  #show(index, byKey = false) {
    if (index === this.#at && !byKey) return;
    this.#at = index;
    this.#tip.hidden = index < 0;
    if (index < 0) {
      if (document.activeElement !== this.querySelector(".canvas")) return;
      this.#plot.setCursor({ left: -10, top: -10 }, false);
      return;
    }
    const { parts, series, total } = this.#data;
    const place = this.querySelector(".canvas");
    place.setAttribute("aria-valuenow", index);
    place.setAttribute("aria-valuetext", this.#text(index));
    const left = this.#plot.valToPos(index, "x");
    if (byKey) this.#plot.setCursor({ left, top: 10 }, false);
    const rows = series.map((one) => h("div", {}, h(`i.${one.colour}`), h("span.cut", {}, one.name), h("b.num", {}, one.told[index])));
    this.#tip.replaceChildren(h("p", {}, parts[index].full), ...(total ? [h("div.sum", {}, h("span", {}, "Together"), h("b.num", {}, total[index]))] : []), ...rows);
    const offset = this.#plot.over.offsetLeft + left;
    const onLeft = offset > this.clientWidth / 2;
    this.#tip.style.setProperty("left", onLeft ? "auto" : `${offset + 12}px`);
    this.#tip.style.setProperty("right", onLeft ? `${this.clientWidth - offset + 12}px` : "auto");
  }

  #text(index) {
    const { parts, series, total } = this.#data;
    if (!parts[index]) return "";
    return `${parts[index].full}: ${total ? `${total[index]}. ` : ""}${series.map((one) => `${one.name} ${one.told[index]}`).join(", ")}`;
  }
}

customElements.define("nexus-usage-plot", NexusUsagePlot);
