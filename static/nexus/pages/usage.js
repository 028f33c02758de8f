/** Usage: the chart over its table. */
export class UsagePage {
  constructor(shell) {
    this.usage = shell.initial.usage;
  }

  start() {
    const chart = document.querySelector("nexus-usage-chart");
    if (chart && this.usage) chart.days = this.usage.byDay;
  }
}
