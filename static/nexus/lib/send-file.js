/** Sends one file as a form; an error has the server's `details`. */
import { ApiError } from "./api.js";

/**
 * @param {string} path
 * @param {File} file
 * @returns {Promise<object>}
 */
export async function sendFile(path, file) {
  const form = new FormData();
  form.append("file", file, file.name || "file.json");
  const csrf = document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
  let response;
  try {
    response = await fetch(path, { method: "POST", headers: { Accept: "application/json", "X-CSRFToken": csrf }, body: form, credentials: "same-origin" });
  } catch {
    throw new ApiError(0, "offline", "The server cannot be reached. Try again when the connection is back.");
  }
  let answer = null;
  try {
    answer = await response.json();
  } catch {
    // a proxy's page, say for a body that is too large
  }
  if (response.ok && answer) return answer;
  const { code = "error", message = response.status === 413 ? "The file is too large." : "Something failed. Try again.", requestId = null, details = null } = answer?.error ?? {};
  throw Object.assign(new ApiError(response.status, code, message, requestId), { details });
}
