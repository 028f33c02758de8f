/**
 * Rows with boxes to tick: single ones, a range with Shift, all that are shown. Knows the page's rows and nothing of
 * what is done with them.
 */

export class Selection {
  #last = null;

  /**
   * @param {HTMLElement} root holds the rows `li[data-conversation]` with their `[data-select]` boxes
   * @param {HTMLInputElement} all the box that stands for all of them
   * @param {() => void} changed
   */
  constructor(root, all, changed) {
    Object.assign(this, { root, all, changed });
    root.addEventListener("click", (event) => event.target.matches("[data-select]") && this.#clicked(event.target, event.shiftKey));
    all.addEventListener("change", () => this.set(this.boxes, all.checked));
    this.#tell(); // the browser may have kept ticks over a reload
  }

  get boxes() {
    return [...this.root.querySelectorAll("li[data-conversation] [data-select]")];
  }

  get rows() {
    return this.boxes.filter((box) => box.checked).map((box) => box.closest("li"));
  }

  clear() {
    this.set(this.boxes, false);
  }

  set(boxes, checked) {
    for (const box of boxes) box.checked = checked;
    this.#tell();
  }

  /** With Shift everything between this box and the one before takes its tick. */
  #clicked(box, range) {
    const { boxes } = this;
    const from = this.#last ? boxes.indexOf(this.#last) : -1;
    this.#last = box;
    if (!range || from < 0) return this.#tell();
    const to = boxes.indexOf(box);
    this.set(boxes.slice(Math.min(from, to), Math.max(from, to) + 1), box.checked);
  }

  #tell() {
    const { boxes } = this;
    const ticked = boxes.filter((box) => box.checked).length;
    this.all.checked = ticked > 0 && ticked === boxes.length;
    this.all.indeterminate = ticked > 0 && ticked < boxes.length;
    for (const box of boxes) box.closest("li").classList.toggle("on", box.checked);
    this.changed();
  }
}
