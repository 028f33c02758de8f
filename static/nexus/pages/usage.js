/** Usage: what is behind it, with its library for charts, is loaded when this page is opened and at no other time. */
export class UsagePage {
  constructor(shell) {
    this.shell = shell;
  }

  start() {
    import("../usage/page.js").then(
      ({ Usage }) => new Usage(this.shell).start(),
      (fault) => {
        console.error(fault);
        this.shell.say({ kind: "bad", title: "The page could not be loaded", text: "Reload it when the connection is back." });
      },
    );
  }
}
