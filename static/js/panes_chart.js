// What every chart shares: how it looks, that the reader moves it, and the stretch of time in view.

import { CrosshairMode, createChart } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { clock, zone } from "./format.js";
import { tokens } from "./theme.js";

const HAND = 1500; // milliseconds after a touch of the mouse in which the picture may still glide
const EDGE = 20; // points from the oldest one at which older ones are asked for
const LEAST_ROOM = 0.12; // of a pane, above what is drawn
const MOST_ROOM = 0.5;
const SHAPE_OF_TICK = ["year", "month", "day", "minute", "time"];

/** Options in the colours of the page. `margins` of the price scale; `room` right of the newest point, in points;
 * `finest`: pixels of a point zoomed out. */
export function chartOptions({ margins, room, finest }) {
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
    rightPriceScale: { borderColor: color.line, minimumWidth: 76, ...(margins && { scaleMargins: margins }) },
    timeScale: { borderColor: color.line, timeVisible: true, rightOffset: room, minBarSpacing: finest, tickMarkFormatter: (time, type) => clock(time * 1000, SHAPE_OF_TICK[type]) },
    localization: { timeFormatter: (time) => `${clock(time * 1000, "moment")} ${zone() ?? "local"}` },
    handleScale: { axisDoubleClickReset: { time: false, price: true } },
  };
}

/** Whoever extends it draws `points` (oldest first, each with its `time`), and says what `whole()` shows and how it
 * paints itself anew (`paint()`). */
export class PanesChart {
  /** `frame` as chartOptions has it. `events`: moved({from, to} in epoch seconds, or null for the whole range), hover(time
   * or null), arranged() when the panes have new places, and older(), where there may be older points. */
  constructor(element, events, frame) {
    this.element = element;
    this.events = events;
    this.frame = frame;
    this.points = [];
    this.handAt = -Infinity;
    this.chart = createChart(element, chartOptions(frame));
    this.watch();
  }

  watch() {
    const touched = () => (this.handAt = performance.now());
    const early = { passive: true, capture: true }; // before the chart's own handlers, which move it at once
    for (const event of ["wheel", "touchmove", "pointerdown", "keydown"]) this.element.addEventListener(event, touched, early);
    this.element.addEventListener("pointermove", (event) => event.buttons && touched(), early);
    this.element.addEventListener("dblclick", () => this.reset());
    this.chart.timeScale().subscribeVisibleLogicalRangeChange((range) => this.ranged(range));
    this.chart.subscribeCrosshairMove((param) => this.events.hover(param.point ? (param.time ?? null) : null));
    document.addEventListener("preference", () => this.repaint());
    new ResizeObserver(() => requestAnimationFrame(() => this.events.arranged())).observe(this.element);
  }

  /** Whether the reader moves the picture. */
  get byHand() {
    return performance.now() - this.handAt <= HAND;
  }

  ranged(range) {
    if (!range || !this.byHand) return;
    const time = (index) => this.points[Math.max(0, Math.min(this.points.length - 1, Math.round(index)))]?.time;
    this.events.moved({ from: time(range.from), to: time(range.to) });
    if (range.from < EDGE) this.events.older?.();
  }

  repaint() {
    this.chart.applyOptions(chartOptions(this.frame));
    this.paint();
  }

  /** Back to the whole range. */
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

  /** What a choice shows: the stretch that it names, or the whole range. */
  lookAt({ from, to }) {
    if (from) this.between(from, to);
    else this.whole();
  }

  /** Pixels from the top of the element to each pane. */
  get tops() {
    let top = 0;
    return this.chart.panes().map((pane) => {
      const here = top;
      top += pane.getHeight() + 1;
      return here;
    });
  }

  /** Keeps what is drawn below the legends: `taken` pixels from the top of each pane (0: not seen). Room only grows while
   * the chart is as wide as it is, so that a figure of another length moves nothing. */
  clearOf(taken) {
    const width = this.element.clientWidth;
    if (this.roomOf !== width) [this.roomOf, this.room] = [width, []];
    this.chart.panes().forEach((pane, i) => {
      const height = pane.getHeight();
      if (!height || !taken[i]) return;
      this.room[i] = Math.max(this.room[i] ?? 0, taken[i]);
      const scale = this.chart.priceScale("right", i);
      const { scaleMargins } = scale.options();
      const top = Math.min(MOST_ROOM, Math.max(this.frame.margins?.top ?? LEAST_ROOM, (this.room[i] + 4) / height));
      if (Math.abs(top - scaleMargins.top) > 0.004) scale.applyOptions({ scaleMargins: { ...scaleMargins, top } });
    });
  }

  /** The picture as a canvas. */
  picture() {
    return this.chart.takeScreenshot(true, false);
  }
}
