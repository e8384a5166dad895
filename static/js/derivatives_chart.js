// The derivatives chart: mark price with liquidations, flow, open interest and funding, on one time scale.

import { CrosshairMode, LineStyle, createChart } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { Bubbles } from "./derivatives_bubbles.js";
import { clock, compact, zone } from "./format.js";
import { GapMarks, LineView } from "./series.js";
import { tokens } from "./theme.js";

const HAND = 1500; // milliseconds after a touch of the mouse in which the picture may still glide
const SHAPE_OF_TICK = ["year", "month", "day", "minute", "time"];
const SHARES = [3.2, 1.2, 1.2, 0.9];
const PANES = { price: 0, flow: 1, interest: 2, funding: 3 };

export function colours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(name).trim();
  return { ...tokens(), accent: read("--accent"), lines: { FUTURES: read("--flow-futures"), SPOT: read("--flow-spot"), interest: read("--interest"), funding: read("--funding") } };
}

export class DerivativesChart {
  /** `events`: moved({from, to} in epoch seconds, or null), hover(time or null), arranged() when panes have new places. */
  constructor(element, events) {
    this.element = element;
    this.events = events;
    this.points = [];
    this.handAt = -Infinity;
    this.chart = createChart(element, this.options());
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
    this.watch();
  }

  line(pane, formatter = null) {
    const format = formatter ? { priceFormat: { type: "custom", formatter, minMove: 0.00000001 } } : {};
    const series = this.chart.addCustomSeries(new LineView(), { priceLineVisible: pane === "price", priceLineStyle: LineStyle.Dotted, width: 1.5, ...format }, PANES[pane]);
    series.priceScale().applyOptions({ scaleMargins: pane === "price" ? { top: 0.12, bottom: 0.08 } : { top: 0.26, bottom: 0.1 } });
    return series;
  }

  options() {
    const color = tokens();
    const line = { color: color.muted, labelBackgroundColor: color.raised };
    const background = { type: "solid", color: color.background };
    const panes = { separatorColor: color.line, separatorHoverColor: color.raised, enableResize: true };
    return {
      autoSize: true,
      // The notice and the link that the logo stands for are below the chart.
      layout: { background, textColor: color.muted, fontFamily: color.sans, fontSize: 11, attributionLogo: false, panes },
      grid: { vertLines: { color: color.grid }, horzLines: { color: color.grid } },
      crosshair: { mode: CrosshairMode.Normal, vertLine: line, horzLine: line },
      rightPriceScale: { borderColor: color.line, minimumWidth: 76 },
      timeScale: { borderColor: color.line, timeVisible: true, rightOffset: 2, minBarSpacing: 0.3, tickMarkFormatter: (time, type) => clock(time * 1000, SHAPE_OF_TICK[type]) },
      localization: { timeFormatter: (time) => `${clock(time * 1000, "moment")} ${zone() ?? "local"}` },
      handleScale: { axisDoubleClickReset: { time: false, price: true } },
    };
  }

  watch() {
    const touched = () => (this.handAt = performance.now());
    const early = { passive: true, capture: true }; // before the chart's own handlers, which move it at once
    for (const event of ["wheel", "touchmove", "pointerdown", "keydown"]) this.element.addEventListener(event, touched, early);
    this.element.addEventListener("pointermove", (event) => event.buttons && touched(), early);
    this.element.addEventListener("dblclick", () => this.reset());
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => this.ranged(range));
    this.chart.subscribeCrosshairMove((param) => this.events.hover(param.point ? (param.time ?? null) : null));
    new ResizeObserver(() => requestAnimationFrame(() => this.events.arranged())).observe(this.element);
  }

  ranged(range) {
    if (!range || performance.now() - this.handAt > HAND) return;
    const time = (index) => this.points[Math.max(0, Math.min(this.points.length - 1, Math.round(index)))]?.time;
    this.events.moved({ from: time(range.from), to: time(range.to) });
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

  repaint() {
    this.chart.applyOptions(this.options());
    if (this.view) this.show(this.view);
  }

  whole() {
    if (!this.points.length) return;
    this.placed = true;
    this.chart.timeScale().setVisibleLogicalRange({ from: -0.5, to: this.points.length + 1 });
  }

  reset() {
    this.handAt = -Infinity;
    this.chart.priceScale("right").setAutoScale(true);
    this.whole();
    this.events.moved(null);
  }

  /** The stretch between two moments (epoch s), as an address names it; what is not loaded is left out. */
  between(from, to) {
    const first = this.points.findIndex(({ time }) => time >= from);
    const last = this.points.findLastIndex(({ time }) => time <= to);
    if (first >= 0 && last > first) this.chart.timeScale().setVisibleLogicalRange({ from: first, to: last });
  }

  picture() {
    return this.chart.takeScreenshot();
  }

  /** Where each pane begins, from the top. */
  get tops() {
    let top = 0;
    return this.chart.panes().map((pane) => {
      const here = top;
      top += pane.getHeight() + 1;
      return here;
    });
  }
}

/** Whether every minute of a step that is over has open interest. */
export function wholeInterest({ time, minutes }, { contract, now }) {
  const passed = Math.floor((Math.min(now, time + contract.step) - time) / 60);
  return minutes >= passed - (now < time + contract.step ? 2 : 0);
}
