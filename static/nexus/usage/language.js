/** Before uPlot: it asks `Intl` for the browser's language as it loads, and a Chromium under a POSIX locale has one, `en-US@posix`, that is none. */
try {
  new Intl.NumberFormat(navigator.language);
} catch {
  Object.defineProperty(navigator, "language", { value: "en-US", configurable: true });
}
