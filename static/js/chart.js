// The depth chart: two panes on one time scale, drawn from points.

import { MARKS, compact } from "./format.js";
import { PanesChart } from "./panes_chart.js";
import { DiffView, GapMarks, LineView } from "./series.js";
import { tokens } from "./theme.js";

const FRAME = { margins: { top: 0.12, bottom: 0.06 }, room: 0, finest: 0.05 };
const OTHER_WIDTH = 1.1; // pixels, of the other market's lines

export class DepthChart extends PanesChart {
  constructor(element, events) {
    super(element, events, FRAME);
    this.since = null;
    this.live = true; // the picture goes with the newest point, until the reader moves it
    this.marks = [];
  }

  ranged(range) {
    if (range && this.byHand) this.live = false;
    super.ranged(range);
  }

  /** What is drawn at a moment; null where nothing is. */
  at(time) {
    return this.points.find((point) => point.time === time) ?? null;
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
    super.reset();
  }
}
