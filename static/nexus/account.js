/** The pages before the door and those of security: passkeys, and keeping the recovery codes. Works on forms the server drew. */
import { copyText } from "./lib/clipboard.js";
import { createKey, passkeysAt, useKey } from "./lib/passkeys.js";

const SAID = {
  NotAllowedError: "That was broken off, or took too long. Try again.",
  InvalidStateError: "This device has a passkey for your account already.",
  SecurityError: "Passkeys need https and a host name.",
};

/** A form with `data-passkey`: "login" asks the server first, "use" and "add" find their options in the page. */
class PasskeyForm {
  constructor(form) {
    this.form = form;
    this.error = form.querySelector("[data-passkey-error]");
    this.button = form.querySelector("button");
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run();
    });
    const why = passkeysAt(location.hostname) || this.#none();
    if (form.dataset.passkey === "add" && why) this.#say(why);
    form.hidden = Boolean(why) && form.dataset.passkey !== "add";
    // The server draws it disabled: sent before this runs, a form has no passkey in it and is refused.
    this.button.disabled = Boolean(why);
  }

  async #run() {
    this.#say("");
    this.button.disabled = true;
    try {
      const credential = await this.#ask();
      this.form.elements.credential.value = JSON.stringify(credential);
      this.form.submit();
    } catch (error) {
      this.#say(SAID[error.name] ?? "This passkey could not be used.");
    } finally {
      this.button.disabled = false;
    }
  }

  async #ask() {
    const kind = this.form.dataset.passkey;
    if (kind === "login") {
      const answer = await fetch(this.form.action, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error("refused");
      return useKey((await answer.json()).request_options.publicKey);
    }
    const options = this.#options();
    if (kind === "add") return createKey(options.creation_options.publicKey, this.form.elements.passwordless.checked);
    return useKey(options.request_options.publicKey);
  }

  /** As a second step a passkey is offered to who has one. */
  #none() {
    if (this.form.dataset.passkey !== "use") return "";
    return this.#options().request_options.publicKey.allowCredentials?.length ? "" : "There is no passkey.";
  }

  #options() {
    return JSON.parse(document.getElementById("passkey-options").textContent);
  }

  #say(text) {
    this.error.textContent = text;
    this.error.hidden = !text;
  }
}

for (const form of document.querySelectorAll("form[data-passkey]")) new PasskeyForm(form);

const codes = document.getElementById("recovery-codes");
if (codes) {
  const tools = document.querySelector("[data-codes]");
  const said = tools.querySelector("[data-codes-said]");
  tools.hidden = false;
  tools.querySelector("[data-copy-codes]").addEventListener("click", async () => {
    said.textContent = (await copyText(codes.textContent)) ? "Copied." : "Not copied; select them by hand.";
  });
  tools.querySelector("[data-download-codes]").addEventListener("click", () => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${codes.textContent}\n`], { type: "text/plain" }));
    link.download = "nexus-recovery-codes.txt";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    said.textContent = "Downloaded.";
  });
}
