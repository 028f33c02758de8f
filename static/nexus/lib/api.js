/** The HTTP API from a page: JSON, the session's cookie, the CSRF token, errors as `ApiError`. */

export class ApiError extends Error {
  constructor(status, code, message, requestId = null) {
    super(message);
    this.name = "ApiError";
    this.status = status;
    this.code = code;
    this.requestId = requestId;
  }
}

function csrf() {
  return document.querySelector("input[name=csrfmiddlewaretoken]")?.value ?? "";
}

/**
 * @param {string} method
 * @param {string} path e.g. `/api/conversations`
 * @param {object} [body]
 * @returns {Promise<any>} the answer's JSON, or null for an empty one
 */
export async function api(method, path, body) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") headers["X-CSRFToken"] = csrf();
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin" });
  } catch {
    throw new ApiError(0, "offline", "The server cannot be reached. Try again when the connection is back.");
  }
  const text = await response.text();
  const answer = parsed(text);
  if (!response.ok) throw refusal(response.status, answer);
  return answer;
}

/**
 * Uploads one file with progress; `fetch` does not tell how far it is.
 * @param {File} file
 * @param {(part: number) => void} onProgress 0..1
 * @returns {Promise<{fileId: string, name: string}>}
 */
export function uploadFile(file, onProgress, most = Infinity) {
  return new Promise((resolve, reject) => {
    if (file.size > most) {
      reject(new ApiError(413, "file_too_large", `Too large: at most ${(most / 1e6).toFixed(0)} MB.`));
      return;
    }
    const request = new XMLHttpRequest();
    request.open("POST", "/api/files");
    request.setRequestHeader("X-CSRFToken", csrf());
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && onProgress(event.loaded / event.total);
    request.onload = () => {
      const answer = parsed(request.responseText);
      if (request.status >= 200 && request.status < 300) resolve({ fileId: answer.fileId ?? answer.id, name: answer.name });
      else reject(refusal(request.status, answer));
    };
    request.onerror = () => reject(new ApiError(0, "offline", "The upload broke off. Try again."));
    const form = new FormData();
    form.append("file", file, file.name || "pasted.png");
    request.send(form);
  });
}

/** Why a socket was refused, as far as HTTP can tell. */
export async function probe() {
  try {
    const response = await fetch("/api/presence", { credentials: "same-origin", headers: { Accept: "application/json" } });
    if (response.status === 401) return "signed-out";
    if (response.status === 403) return "forbidden";
    return response.ok ? "ok" : "down";
  } catch {
    return "down";
  }
}

function parsed(text) {
  try {
    return text ? JSON.parse(text) : null;
  } catch {
    return null;
  }
}

function refusal(status, answer) {
  const error = answer?.error ?? {};
  return new ApiError(status, error.code ?? "error", error.message ?? "Something failed. Try again.", error.requestId ?? null);
}
