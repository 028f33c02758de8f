/** Light, dark, or as the system: an attribute on the root, set by the server before the first paint. */

/** @param {"system"|"light"|"dark"} theme */
export function applyTheme(theme) {
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  try {
    localStorage.setItem("nexus.theme", theme); // for the login page, which does not know who comes
  } catch {
    // storage is forbidden: the login page follows the system
  }
}
