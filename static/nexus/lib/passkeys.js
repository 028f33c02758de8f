/** WebAuthn with JSON on both sides: options as the server wrote them, credentials as it reads them. */

/** @param {string} text base64url @returns {Uint8Array} */
export function fromBase64Url(text) {
  const plain = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
  return Uint8Array.from(plain, (sign) => sign.charCodeAt(0));
}

/** @param {ArrayBuffer|null|undefined} buffer @returns {string|undefined} base64url */
export function toBase64Url(buffer) {
  if (!buffer) return undefined;
  const plain = Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join("");
  return btoa(plain).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Why there can be no passkeys on this host, "" where there can. @param {string} host */
export function passkeysAt(host) {
  if (/^[\d.]+$/.test(host) || host.startsWith("[")) return "Passkeys need a host name; this page has a bare address.";
  if (!globalThis.isSecureContext) return "Passkeys need https.";
  return globalThis.PublicKeyCredential ? "" : "This browser knows no passkeys.";
}

const named = (list) => list?.map((one) => ({ ...one, id: fromBase64Url(one.id) }));

/** What of a credential's answer goes to the server. */
function written(credential) {
  const { response } = credential;
  const fields = ["attestationObject", "clientDataJSON", "authenticatorData", "signature", "userHandle"];
  const told = Object.fromEntries(fields.map((name) => [name, toBase64Url(response[name])]).filter(([, value]) => value));
  if (response.getTransports) told.transports = response.getTransports();
  return {
    id: credential.id,
    rawId: toBase64Url(credential.rawId),
    type: credential.type,
    authenticatorAttachment: credential.authenticatorAttachment ?? undefined,
    clientExtensionResults: credential.getClientExtensionResults(),
    response: told,
  };
}

/** Makes a key. `alone`: it may log in without a password, so it must know its owner. */
export async function createKey(options, alone) {
  const selection = { ...options.authenticatorSelection, residentKey: alone ? "required" : "discouraged", requireResidentKey: alone };
  if (alone) selection.userVerification = "required";
  const publicKey = {
    ...options,
    challenge: fromBase64Url(options.challenge),
    user: { ...options.user, id: fromBase64Url(options.user.id) },
    excludeCredentials: named(options.excludeCredentials),
    authenticatorSelection: selection,
  };
  return written(await navigator.credentials.create({ publicKey }));
}

/** Proves who one is with a key that exists. */
export async function useKey(options) {
  const publicKey = { ...options, challenge: fromBase64Url(options.challenge), allowCredentials: named(options.allowCredentials) };
  return written(await navigator.credentials.get({ publicKey }));
}
