// The analysis chart: candles with volume and overlays, panes of depth and indicators below, drawings over it.

import { CandlestickSeries, HistogramSeries, LineStyle, createSeriesMarkers } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { keyOf } from "./analysis_candles.js";
import { CloudView, ProfileMarks } from "./analysis_drawings.js";
import { compact } from "./format.js";
import { PanesChart } from "./panes_chart.js";
import { DiffView, GapMarks, LineView } from "./series.js";
import { tokens } from "./theme.js";

const FRAME = { margins: { top: 0.14, bottom: 0.06 }, room: 4, finest: 0.5 };
const GUIDES = { rsi: [30, 70], stochastic: [20, 80], williams: [-80, -20], adx: [25], macd: [0] };
const WIDTH = 6; // pixels of a candle in the picture that a page begins with
const HUES = 8;

/** Colours of the tokens, and those of lines, which only this chart has. */
function colours() {
  const style = getComputedStyle(document.documentElement);
  const lines = Array.from({ length: HUES }, (_, i) => style.getPropertyValue(`--line-${i + 1}`).trim());
  return { ...tokens(), lines, accent: style.getPropertyValue("--accent").trim(), soft: { bid: style.getPropertyValue("--bid-soft").trim(), ask: style.getPropertyValue("--ask-soft").trim() } };
}

export class AnalysisChart extends PanesChart {
  constructor(element, events) {
    super(element, events, FRAME);
    this.parts = []; // {spec, line, series, pane}
    this.lines = [];
    this.price = this.chart.addSeries(CandlestickSeries, { priceLineStyle: LineStyle.Dotted });
    this.markers = createSeriesMarkers(this.price, []);
    this.profile = new ProfileMarks();
    this.price.attachPrimitive(this.profile);
    this.marks = new GapMarks();
    this.chart.panes()[0].attachPrimitive(this.marks);
  }

  // --- what there is -------------------------------------------------------------------------------------------------

  /** `specs`: {label, indicator, hue} of what is drawn; `shown`: a set of drawings. Series are made anew when they differ. */
  layout(specs, shown) {
    const key = JSON.stringify([specs.map(({ label, hue }) => [label, hue]), shown.has("volume"), shown.has("depth")]);
    if (key === this.arranged) return;
    this.arranged = key;
    for (const { series } of this.parts) this.chart.removeSeries(series);
    this.parts = [];
    if (shown.has("volume")) this.addVolume();
    if (shown.has("depth")) this.add({ label: "depth" }, "depth", new DiffView(), this.chart.panes().length);
    for (const spec of specs) this.addIndicator(spec);
    this.chart.panes().forEach((pane, i) => pane.setStretchFactor(i ? 1 : 3.4));
    requestAnimationFrame(() => this.events.arranged());
  }

  add(spec, line, view, pane, options = {}) {
    const format = { type: "custom", formatter: compact, minMove: 0.00000001 };
    const series = this.chart.addCustomSeries(view, { priceFormat: format, priceLineVisible: false, ...options }, pane);
    series.priceScale().applyOptions(pane ? { scaleMargins: { top: 0.22, bottom: 0.08 } } : {});
    this.parts.push({ spec, line, series, pane });
    return series;
  }

  addVolume() {
    const options = { priceScaleId: "volume", lastValueVisible: false, priceLineVisible: false, priceFormat: { type: "custom", formatter: compact, minMove: 0.00000001 } };
    const series = this.chart.addSeries(HistogramSeries, options, 0);
    series.priceScale().applyOptions({ scaleMargins: { top: 0.84, bottom: 0 } });
    this.parts.push({ spec: { label: "volume" }, line: "volume", series, pane: 0 });
  }

  addIndicator(spec) {
    const { indicator } = spec;
    const pane = indicator.overlay ? 0 : this.chart.panes().length;
    if (indicator.name === "ichimoku") this.add(spec, "cloud", new CloudView(), 0);
    for (const line of indicator.lines) {
      if (line.startsWith("ahead")) continue;
      if (line === "histogram") {
        const series = this.chart.addSeries(HistogramSeries, { lastValueVisible: false, priceLineVisible: false }, pane);
        this.parts.push({ spec, line, series, pane });
      } else {
        const options = indicator.overlay ? { lastValueVisible: false, width: 1.4, priceFormat: this.format } : { width: 1.4 };
        this.add(spec, line, new LineView(), pane, options);
      }
    }
    const first = this.parts.findLast((part) => part.spec === spec).series;
    const guide = { color: tokens().muted, lineWidth: 1, lineStyle: LineStyle.Dotted, axisLabelVisible: false, title: "" };
    for (const price of GUIDES[indicator.name] ?? []) first.createPriceLine({ ...guide, price });
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  /** `view`: {candles, depth (by time), specs, shown, analysis or null, decimals}. */
  show(view, elsewhere = false) {
    this.view = view;
    this.format = { type: "price", precision: view.decimals, minMove: 10 ** -view.decimals };
    this.price.applyOptions({ priceFormat: this.format });
    this.layout(view.specs, view.shown);
    const ahead = Math.max(0, ...Object.values(view.candles.ahead ?? {}).map((values) => values.length));
    this.ahead = view.specs.some(({ indicator }) => indicator.name === "ichimoku") ? ahead : 0;
    const { points, gaps } = view.candles.axis(this.ahead);
    this.points = points;
    this.color = colours();
    this.fillPrice(points);
    for (const part of this.parts) this.fill(part, points);
    this.draw(gaps);
    if (elsewhere || !this.placed) this.whole();
  }

  fillPrice(points) {
    const { bid, ask, careful } = this.color;
    this.price.applyOptions({ upColor: bid, downColor: ask, borderUpColor: bid, borderDownColor: ask, wickUpColor: bid, wickDownColor: ask });
    const item = (candle) => {
      if (candle.open === undefined) return { time: candle.time };
      const { time, open, high, low, close, minutes, expected } = candle;
      const mark = minutes < expected ? { color: "transparent", borderColor: careful, wickColor: careful } : {};
      return { time, open, high, low, close, ...mark };
    };
    this.price.setData(points.map(item));
  }

  fill({ spec, line, series }, points) {
    const { bid, ask, muted, lines, soft } = this.color;
    const { candles, depth } = this.view;
    if (line === "volume") return series.setData(points.map((c) => (c.open === undefined ? { time: c.time } : { time: c.time, value: c.volume, color: c.close >= c.open ? soft.bid : soft.ask })));
    if (line === "depth") {
      const last = [...depth.values()].at(-1);
      series.applyOptions({ bidColor: bid, askColor: ask, unknownColor: muted, color: !last || last.quality === "unknown" ? muted : last.diff >= 0 ? bid : ask });
      return series.setData(points.filter(({ time }) => depth.has(time)).map(({ time }) => ({ time, value: depth.get(time).diff, quality: depth.get(time).quality })));
    }
    if (line === "cloud") return this.fillCloud(spec, series, points);
    const values = this.valuesOf(spec, line, points);
    if (line === "histogram") return series.setData(values.map((item) => ({ ...item, color: item.value >= 0 ? soft.bid : soft.ask })));
    const hue = spec.hue + (spec.indicator.name === "bollinger" ? 0 : spec.indicator.lines.indexOf(line));
    series.applyOptions({ color: lines[hue % HUES], ...(spec.indicator.overlay && { priceFormat: this.format }) });
    series.setData(values);
    if (candles.ahead?.[keyOf(spec.label, aheadOf(line))]) series.setData([...values, ...this.aheadValues(spec, line)]);
  }

  valuesOf(spec, line, points) {
    const key = keyOf(spec.label, line);
    return points.filter((point) => point.values?.[key] != null).map((point) => ({ time: point.time, value: point.values[key], complete: true }));
  }

  aheadValues(spec, line) {
    const { candles } = this.view;
    const values = candles.ahead[keyOf(spec.label, aheadOf(line))];
    return values.map((value, i) => ({ time: candles.shift(candles.last.time, i + 1), value, complete: true })).filter(({ value }) => value !== null);
  }

  fillCloud(spec, series, points) {
    const line = (name) => new Map([...this.valuesOf(spec, name, points), ...(this.view.candles.ahead?.[keyOf(spec.label, aheadOf(name))] ? this.aheadValues(spec, name) : [])].map(({ time, value }) => [time, value]));
    const [a, b] = [line("senkou_a"), line("senkou_b")];
    series.applyOptions({ up: this.color.soft.bid, down: this.color.soft.ask });
    series.setData([...a].filter(([time]) => b.has(time)).map(([time, value]) => ({ time, value, a: value, b: b.get(time) })));
  }

  draw(gaps) {
    const { analysis, shown, candles } = this.view;
    const { bid, ask, gap, careful, muted, sans, soft, line, accent } = this.color;
    this.marks.show(gaps, null, { fill: gap, bar: careful, text: muted, font: sans });
    this.profile.show(analysis && shown.has("profile") ? analysis.volume_profile : null, { bar: `${muted}22`, strong: `${muted}44`, line: `${accent}88` });
    for (const old of this.lines) this.price.removePriceLine(old);
    this.lines = analysis ? this.levels(analysis, shown).map((one) => this.price.createPriceLine({ lineWidth: 1, axisLabelVisible: true, ...one })) : [];
    const signals = analysis && shown.has("signals") ? analysis.signals : [];
    this.markers.setMarkers(
      signals
        .filter(({ timestamp }) => candles.at(timestamp / 1000))
        .map(({ timestamp, type }) => (type === "buy" ? { time: timestamp / 1000, position: "belowBar", shape: "arrowUp", color: bid } : { time: timestamp / 1000, position: "aboveBar", shape: "arrowDown", color: ask })),
    );
  }

  levels({ support_levels, resistance_levels, fibonacci_levels, pivot_points }, shown) {
    const { bid, ask, muted, accent } = this.color;
    const lines = [];
    if (shown.has("levels")) {
      for (const { price, touches } of support_levels.slice(0, 3)) lines.push({ price, color: bid, lineStyle: LineStyle.Dashed, title: `S ${touches}×` });
      for (const { price, touches } of resistance_levels.slice(0, 3)) lines.push({ price, color: ask, lineStyle: LineStyle.Dashed, title: `R ${touches}×` });
    }
    if (shown.has("fibonacci")) for (const [name, price] of Object.entries(fibonacci_levels)) lines.push({ price, color: accent, lineStyle: LineStyle.Dotted, title: `${name}%` });
    if (shown.has("pivots")) for (const [name, price] of Object.entries(pivot_points ?? {})) lines.push({ price, color: muted, lineStyle: LineStyle.SparseDotted, title: name === "pivot" ? "P" : name.toUpperCase() });
    return lines;
  }

  // --- what is in view -----------------------------------------------------------------------------------------------

  paint() {
    if (this.view) this.show(this.view);
  }

  whole() {
    const { candles } = this.view;
    if (!candles.last) return;
    this.placed = true;
    const { points } = candles.axis(0);
    const count = Math.max(40, this.chart.timeScale().width() / WIDTH);
    const ahead = Math.max(4, Math.min(this.ahead, count / 4)); // the cloud to come
    this.chart.timeScale().setVisibleLogicalRange({ from: Math.max(points.length + ahead - count, -2), to: points.length + ahead });
  }

  /** Brings a candle into the middle. */
  look(time) {
    const index = this.view.candles.axis(0).points.findIndex((point) => point.time === time);
    const range = this.chart.timeScale().getVisibleLogicalRange();
    if (index < 0 || !range) return;
    const half = (range.to - range.from) / 2;
    this.chart.timeScale().setVisibleLogicalRange({ from: index - half, to: index + half });
  }

  /** {top, parts} of each pane: where its legend stands, and what it shows. */
  get panes() {
    return this.tops.map((top, i) => ({ top, parts: this.parts.filter((part) => part.series.getPane().paneIndex() === i) }));
  }
}

/** The line over candles to come that goes on with a line. */
function aheadOf(line) {
  return line.replace("senkou_", "ahead_");
}
