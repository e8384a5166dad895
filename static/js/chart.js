// The chart: two panes on one time scale, drawn from points; it tells when the reader moves it and needs older points.

import { CrosshairMode, createChart } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { MARKS, clock, compact, zone } from "./format.js";
import { DiffView, GapMarks, LineView } from "./series.js";
import { tokens } from "./theme.js";

const HAND = 1500; // milliseconds after a touch of the mouse in which the picture may still glide
const OTHER_WIDTH = 1.1; // pixels, of the other market's lines
const SHAPE_OF_TICK = ["year", "month", "day", "minute", "time"];

export class DepthChart {
  /** `events`: moved({from, to} in seconds, or null for the whole range), older(), hover(point or null),
   * arranged() when the panes have new places. */
  constructor(element, events) {
    this.element = element;
    this.events = events;
    this.points = [];
    this.since = null;
    this.live = true;
    this.handAt = -Infinity;
    this.chart = createChart(element, this.options());
    this.marks = [];
    this.watch();
  }

  options() {
    const color = tokens();
    const line = { color: color.muted, labelBackgroundColor: color.raised };
    return {
      autoSize: true,
      layout: {
        background: { type: "solid", color: color.background },
        textColor: color.muted,
        fontFamily: color.sans,
        fontSize: 11,
        attributionLogo: false, // the notice and the link stand below the chart
        panes: { separatorColor: color.line, separatorHoverColor: color.raised, enableResize: true },
      },
      grid: { vertLines: { color: color.grid }, horzLines: { color: color.grid } },
      crosshair: { mode: CrosshairMode.Normal, vertLine: line, horzLine: line },
      rightPriceScale: { borderColor: color.line, minimumWidth: 76, scaleMargins: { top: 0.12, bottom: 0.06 } },
      timeScale: {
        borderColor: color.line,
        timeVisible: true,
        rightOffset: 0,
        minBarSpacing: 0.05,
        tickMarkFormatter: (time, type) => clock(time * 1000, SHAPE_OF_TICK[type]),
      },
      localization: { timeFormatter: (time) => `${clock(time * 1000, "moment")} ${zone() ?? "local"}` },
      handleScale: { axisDoubleClickReset: { time: false, price: true } },
    };
  }

  watch() {
    const touched = () => (this.handAt = performance.now());
    const early = { passive: true, capture: true }; // before the chart's own handlers, which move it at once
    for (const event of ["wheel", "touchmove", "pointerdown"]) this.element.addEventListener(event, touched, early);
    this.element.addEventListener("pointermove", (event) => event.buttons && touched(), early);
    this.element.addEventListener("dblclick", () => this.reset());
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => this.ranged(range));
    this.chart.subscribeCrosshairMove((param) => {
      const index = param.logical === undefined || !param.point ? -1 : Math.round(param.logical);
      this.events.hover(this.points[index] ?? null);
    });
    document.addEventListener("preference", () => this.repaint());
    new ResizeObserver(() => requestAnimationFrame(() => this.events.arranged())).observe(this.element);
  }

  ranged(range) {
    if (!range || performance.now() - this.handAt > HAND) return;
    this.live = false;
    const time = (index) => this.points[Math.max(0, Math.min(this.points.length - 1, Math.round(index)))]?.time;
    this.events.moved({ from: time(range.from), to: time(range.to) });
    if (range.from < 10) this.events.older();
  }

  /** Which series there are: `both` has the lines above and the DIFF below; `compared` adds the other market's. */
  layout(side, compared) {
    if (this.side === side && this.compared === compared) return;
    [this.side, this.compared] = [side, compared];
    for (const series of [...Object.values(this.others ?? {}), ...Object.values(this.series ?? {})]) this.chart.removeSeries(series);
    this.series = {};
    const format = { type: "custom", formatter: compact, minMove: 0.00000001 };
    const add = (View, pane) => this.chart.addCustomSeries(new View(), { priceFormat: format, priceLineVisible: false }, pane);
    for (const name of ["bid", "ask"]) if (side === "both" || side === name) this.series[name] = add(LineView, 0);
    if (side === "both" || side === "diff") this.series.diff = add(DiffView, side === "both" ? 1 : 0);
    this.others = {};
    if (compared) {
      for (const [name, series] of Object.entries(this.series)) this.others[name] = add(LineView, series.getPane().paneIndex());
    }
    this.series.diff?.priceScale().applyOptions({ scaleMargins: { top: 0.18, bottom: 0.06 } }); // room for the legend
    const panes = this.chart.panes();
    panes.forEach((pane, i) => pane.setStretchFactor(i ? 1 : 2.6));
    this.marks = panes.map((pane) => {
      const marks = new GapMarks();
      pane.attachPrimitive(marks);
      return marks;
    });
    requestAnimationFrame(() => this.events.arranged());
    this.paint();
  }

  paint() {
    const color = tokens();
    const colors = { bidColor: color.bid, askColor: color.ask, unknownColor: color.muted };
    this.series.bid?.applyOptions({ color: color.bid });
    this.series.ask?.applyOptions({ color: color.ask });
    this.series.diff?.applyOptions({ ...colors, color: this.lastTone(color) });
    for (const [name, series] of Object.entries(this.others)) series.applyOptions({ color: color.other[name], width: OTHER_WIDTH });
    const style = { fill: color.gap, bar: color.careful, text: color.muted, font: color.sans };
    this.marks.forEach((marks, i) => marks.show(this.gaps ?? [], i ? null : this.since, style));
  }

  lastTone(color) {
    const last = this.points.findLast((point) => point.bid !== undefined);
    if (!last || last.quality === "unknown") return color.muted;
    return last.diff >= 0 ? color.bid : color.ask;
  }

  repaint() {
    this.chart.applyOptions(this.options());
    this.paint();
  }

  /** Draws `points` (one a step; a missing one has only its time) and keeps what the reader looks at in place.
   * `gaps` and `since` as GapMarks has them; `step` and `span` (of the whole range) in seconds; `markets` names what is
   * drawn first and what beside it. */
  show(points, { gaps, since, step, span, markets }) {
    const scale = this.chart.timeScale();
    const before = this.live ? null : scale.getVisibleLogicalRange();
    const shift = before && this.points.length && points.length ? (this.points[0].time - points[0].time) / step : 0;
    [this.points, this.gaps, this.since, this.span, this.step] = [points, gaps, since, span, step];
    this.fill(this.series, (point) => (point.bid === undefined ? null : point), this.compared ? markets[0] : "");
    this.fill(this.others, (point) => point.other ?? null, markets[1]);
    this.paint();
    if (before) scale.setVisibleLogicalRange({ from: before.from + shift, to: before.to + shift });
    else this.whole();
  }

  /** Gives every series its values; `of` finds a market's figures in a point. The newest value's label has the name. */
  fill(group, of, name) {
    const last = this.points.map(of).findLast(Boolean);
    for (const [key, series] of Object.entries(group)) {
      const honest = key === "diff" ? (one) => one.quality === "exact" : (one) => one[`${key}Complete`];
      const item = (one) => one && { value: one[key], complete: honest(one), quality: one.quality };
      series.setData(this.points.map((point) => ({ time: point.time, ...item(of(point)) })));
      const mark = !last || honest(last) ? "" : key === "diff" ? MARKS[last.quality].trim() : MARKS.least.trim();
      series.applyOptions({ title: [name, mark].filter(Boolean).join(" ") });
    }
  }

  whole() {
    const count = Math.round(this.span / this.step);
    const last = this.points.length - 1;
    if (last >= 0) this.chart.timeScale().setVisibleLogicalRange({ from: last - count * 1.02, to: last + Math.max(1, count * 0.02) });
  }

  /** The stretch between two moments (seconds), as an address names it. */
  look(from, to) {
    const index = (time) => (time - this.points[0].time) / this.step;
    this.live = false;
    if (this.points.length) this.chart.timeScale().setVisibleLogicalRange({ from: index(from), to: index(to) });
  }

  /** Back to the whole range, going with the newest point. */
  reset() {
    this.live = true;
    this.handAt = -Infinity;
    this.chart.priceScale("right").setAutoScale(true);
    this.whole();
    this.events.moved(null);
  }

  /** Pixels from the top of the element to the second pane; null where there is one. */
  get secondPaneTop() {
    const panes = this.chart.panes();
    return panes.length > 1 ? panes[0].getHeight() + 1 : null;
  }

  picture() {
    return this.chart.takeScreenshot(true, false);
  }
}
