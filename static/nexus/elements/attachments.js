/** The images that go with a message: chosen, pasted or dropped, uploaded at once, shown above the field with progress. */
import { h, icon } from "../lib/dom.js";

const KINDS = ["image/png", "image/jpeg", "image/gif", "image/webp"];

export class Attachments {
  #items = [];

  /** @param {{changed: () => void}} options */
  constructor({ changed }) {
    this.changed = changed;
    /** @type {((file: File, onProgress: (part: number) => void) => Promise<{fileId: string, name: string}>)|null} */
    this.upload = null;
    /** @type {((fileId: string) => void)|null} */
    this.forget = null;
    this.input = h("input", { type: "file", accept: KINDS.join(","), multiple: true, hidden: true, "aria-label": "Images", onchange: () => this.take(this.input.files) });
    this.list = h("div.files", { hidden: true });
    this.element = h("div", {}, this.input, this.list);
  }

  get empty() {
    return this.#items.length === 0;
  }

  get busy() {
    return this.#items.some((item) => item.state === "uploading");
  }

  /** Those that are uploaded: `{fileId, name}`. */
  get files() {
    return this.#items.filter((item) => item.state === "done").map((item) => item.file);
  }

  choose() {
    this.input.value = "";
    this.input.click();
  }

  clear() {
    for (const item of this.#items) URL.revokeObjectURL(item.preview);
    this.#items = [];
    this.list.replaceChildren();
    this.#tell();
  }

  /** @param {FileList|undefined} files @param {Event} [event] prevented if it brought an image */
  take(files, event) {
    const images = [...(files ?? [])].filter((file) => KINDS.includes(file.type));
    if (!images.length || !this.upload) return;
    event?.preventDefault();
    for (const file of images) this.#add(file);
  }

  /** Files that were uploaded before, `{fileId, name}`: a message that was taken back. */
  restore(files) {
    for (const file of files) {
      if (this.#items.some((item) => item.file?.fileId === file.fileId)) continue;
      const item = { state: "done", preview: `/api/files/${file.fileId}`, file };
      this.#show(item, file.name ?? "Image", h("span.mut.cut", {}, "Ready"), null);
    }
    this.#tell();
  }

  #show(item, name, note, bar) {
    const remove = h("button.ib", { type: "button", "aria-label": `Remove ${name}`, onclick: () => this.#remove(item) }, icon("x", "s"));
    item.element = h("div.file", {}, h("img", { src: item.preview, alt: "" }), h("span.grow", {}, h("span.cut.nm", {}, name), note, bar), remove);
    this.#items.push(item);
    this.list.append(item.element);
  }

  #add(file) {
    const item = { state: "uploading", preview: URL.createObjectURL(file), file: null };
    const bar = h("progress", { max: "1", value: "0", "aria-label": `Uploading ${file.name}` });
    const note = h("span.mut.cut", {}, "Uploading");
    this.#show(item, file.name, note, bar);
    this.#tell();
    this.upload(file, (part) => (bar.value = part)).then(
      (stored) => {
        if (item.state === "removed") return this.forget?.(stored.fileId);
        item.state = "done";
        item.file = { fileId: stored.fileId, name: stored.name };
        bar.remove();
        note.textContent = "Ready";
        this.#tell();
      },
      (error) => {
        item.state = "failed";
        bar.remove();
        note.textContent = error.message;
        item.element.classList.add("bad");
        this.#tell();
      },
    );
  }

  #remove(item) {
    if (item.preview.startsWith("blob:")) URL.revokeObjectURL(item.preview);
    if (item.state === "done") this.forget?.(item.file.fileId);
    item.state = "removed";
    this.#items = this.#items.filter((one) => one !== item);
    item.element.remove();
    this.#tell();
  }

  #tell() {
    this.list.hidden = this.empty;
    this.changed();
  }
}
