// The derivatives chart: mark price with liquidations, flow, open interest and funding, on one time scale.

import { LineStyle } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { Bubbles } from "./derivatives_bubbles.js";
import { clock, compact } from "./format.js";
import { PanesChart } from "./panes_chart.js";
import { GapMarks, LineView } from "./series.js";
import { tokens } from "./theme.js";

const FRAME = { room: 2, finest: 0.3 }; // margins are each series' own
const SHARES = [3.2, 1.2, 1.2, 0.9];
const PANES = { price: 0, flow: 1, interest: 2, funding: 3 };

export function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ...tokens(), accent: read("--accent"), lines: { FUTURES: read("--flow-futures"), SPOT: read("--flow-spot"), interest: read("--interest"), funding: read("--funding") } };
}

export class DerivativesChart extends PanesChart {
  constructor(element, events) {
    super(element, events, FRAME);
    this.series = {
      mark: this.line("price"),
      FUTURES: this.line("flow", compact),
      SPOT: this.line("flow", compact),
      interest: this.line("interest", compact),
      funding: this.line("funding", (value) => `${value.toFixed(4)}%`),
    };
    this.bubbles = new Bubbles();
    this.series.mark.attachPrimitive(this.bubbles);
    this.marks = ["price", "flow", "interest"].map((pane) => {
      const marks = new GapMarks();
      this.chart.panes()[PANES[pane]].attachPrimitive(marks);
      return marks;
    });
    const zero = { price: 0, color: tokens().muted, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: false, title: "" };
    for (const name of ["FUTURES", "funding"]) this.series[name].createPriceLine(zero);
    this.chart.panes().forEach((pane, i) => pane.setStretchFactor(SHARES[i]));
  }

  line(pane, formatter = null) {
    const format = formatter ? { priceFormat: { type: "custom", formatter, minMove: 0.00000001 } } : {};
    const series = this.chart.addCustomSeries(new LineView(), { priceLineVisible: pane === "price", priceLineStyle: LineStyle.Dotted, width: 1.5, ...format }, PANES[pane]);
    series.priceScale().applyOptions({ scaleMargins: pane === "price" ? { top: 0.12, bottom: 0.08 } : { top: 0.26, bottom: 0.1 } });
    return series;
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  /** `view`: {contract, decimals, now (epoch s), holes}. */
  show(view, elsewhere = false) {
    this.view = view;
    const { contract, decimals } = view;
    const color = colours();
    this.points = contract.sorted;
    this.series.mark.applyOptions({ color: color.text, priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals } });
    this.series.mark.setData(this.points.map(({ time, mark }) => (mark === null ? { time } : { time, value: mark, complete: true })));
    for (const market of ["FUTURES", "SPOT"]) {
      const sums = contract.cvd(market);
      this.series[market].applyOptions({ color: color.lines[market], lastValueVisible: sums.size > 0 });
      this.series[market].setData(this.points.map(({ time }) => (sums.has(time) ? { time, value: sums.get(time).value, complete: sums.get(time).exact } : { time })));
    }
    this.series.interest.applyOptions({ color: color.lines.interest });
    this.series.interest.setData(this.points.map((point) => (point.interest === null ? { time: point.time } : { time: point.time, value: point.interest, complete: wholeInterest(point, view) })));
    this.series.funding.applyOptions({ color: color.lines.funding });
    this.series.funding.setData(this.points.map(({ time, rate }) => (rate === null ? { time } : { time, value: rate * 100, complete: true })));
    this.drawMarks(color);
    if (elsewhere || !this.placed) this.whole();
  }

  drawMarks(color) {
    const { contract, holes } = this.view;
    const places = new Map(this.points.map(({ time }, index) => [time, index]));
    const items = [...contract.liquidated].flatMap(([time, sides]) => Object.entries(sides).map(([position, one]) => ({ time, position, index: places.get(time), ...one })));
    this.bubbles.show(items, { long: color.ask, short: color.bid });
    const style = { fill: color.gap, bar: color.careful, text: color.muted, font: color.sans };
    const first = contract.since("mark");
    const since = first === null ? null : { time: first, text: `mark prices kept since ${clock(first * 1000, "moment")}` };
    this.marks[0].show(contract.markGaps(), since, style);
    this.marks[1].show(this.placesOf(holes), null, style);
    this.marks[2].show(contract.interestGaps(), null, style);
  }

  /** Where trades are missing, in steps of the picture. */
  placesOf(holes) {
    const { step } = this.view.contract;
    const [first, last] = [this.points[0]?.time, this.points.at(-1)?.time];
    const floor = (time) => Math.min(last, Math.max(first, Math.floor(time / step) * step));
    return holes.filter(({ to }) => to >= first).map(({ from, to, missing, lost }) => ({ from: floor(from ?? to), to: floor(to), text: `${missing} trades ${lost ? "lost" : "to be fetched"}`, minutes: true }));
  }

  // --- what is in view -----------------------------------------------------------------------------------------------

  paint() {
    if (this.view) this.show(this.view);
  }

  whole() {
    if (!this.points.length) return;
    this.placed = true;
    this.chart.timeScale().setVisibleLogicalRange({ from: -0.5, to: this.points.length + 1 });
  }
}

/** Whether every minute of a step that is over has open interest. */
export function wholeInterest({ time, minutes }, { contract, now }) {
  const passed = Math.floor((Math.min(now, time + contract.step) - time) / 60);
  return minutes >= passed - (now < time + contract.step ? 2 : 0);
}
