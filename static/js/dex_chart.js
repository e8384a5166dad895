// Pending orders as lines on the price chart of a symbol that the exchange trades.

import { CandlestickSeries, LineStyle, createChart } from "../vendor/lightweight-charts/lightweight-charts.standalone.production.mjs";
import { fixed, percent } from "./format.js";
import { chartOptions } from "./panes_chart.js";
import { tokens } from "./theme.js";

const MOST_LINES = 30; // more would hide the price; the nearest ones are drawn
const LABELLED = { wide: 10, narrow: 4 }; // more words would stand over one another
const LABEL = 112; // pixels of the words at a line's end, which the newest candles stay clear of
const LEAST_BAR = 2; // pixels of a candle in the picture that a page begins with
const REACH = 0.02; // of the price: lines farther away do not stretch the scale
const SCALE = 76; // pixels of the price scale
const FRAME = { margins: { top: 0.08, bottom: 0.08 }, room: 3, finest: 0.5 };
const STILL = { handleScroll: { mouseWheel: false }, handleScale: { mouseWheel: false } }; // the page scrolls

/** An order as a line: `price` in the symbol's quote asset for one of its base asset, and its side; null where its
 * tokens are not the symbol's. */
export function lineOf(order, { base, quote }) {
  const target = Number(order.target_price);
  if (!(target > 0)) return null;
  if (base.includes(order.token_in) && quote.includes(order.token_out)) return { order, price: target, side: "sell" };
  if (quote.includes(order.token_in) && base.includes(order.token_out)) return { order, price: 1 / target, side: "buy" };
  return null;
}

/** The lines nearest to `price`, and how far the price has to go to each, in percent. */
export function nearest(lines, price, most = MOST_LINES) {
  const far = lines.map((line) => ({ ...line, distance: price ? (line.price / price - 1) * 100 : null }));
  return far.sort((one, other) => Math.abs(one.distance) - Math.abs(other.distance)).slice(0, most);
}

export class OrdersChart {
  constructor(element) {
    this.element = element;
    this.chart = createChart(element, { ...chartOptions(FRAME), ...STILL });
    this.price = this.chart.addSeries(CandlestickSeries, { priceLineStyle: LineStyle.Dotted, autoscaleInfoProvider: (own) => this.scaled(own()) });
    this.lines = [];
    this.shown = [];
    document.addEventListener("preference", () => this.repaint());
    this.paint();
  }

  paint() {
    const { bid, ask } = tokens();
    this.price.applyOptions({ upColor: bid, borderUpColor: bid, wickUpColor: bid, downColor: ask, borderDownColor: ask, wickDownColor: ask });
  }

  repaint() {
    this.chart.applyOptions(chartOptions(FRAME));
    this.paint();
    this.draw(this.shown);
  }

  /** The scale holds the candles and the lines near them. */
  scaled(own) {
    const last = this.last;
    if (!own || !last) return own;
    const near = this.shown.filter(({ price }) => Math.abs(price / last - 1) <= REACH).map(({ price }) => price);
    const range = { minValue: Math.min(own.priceRange.minValue, ...near), maxValue: Math.max(own.priceRange.maxValue, ...near) };
    return { ...own, priceRange: range };
  }

  /** `rows`: {time, open, high, low, close} or only {time}, oldest first; `decimals` of prices; `last` the newest. */
  candles(rows, decimals, last, afresh) {
    this.last = last;
    this.price.applyOptions({ priceFormat: { type: "price", precision: decimals, minMove: 10 ** -decimals } });
    this.price.setData(rows);
    this.count = rows.length;
    this.fresh ||= afresh;
  }

  /** As many of the newest candles as there is room for beside the words of the lines. */
  whole() {
    const width = this.chart.timeScale().width() || this.element.clientWidth - SCALE;
    const taken = this.shown.length ? LABEL : 0;
    const shown = Math.min(this.count, Math.floor((width - taken) / LEAST_BAR));
    if (shown < 1) return;
    const room = Math.max(FRAME.room, (taken * shown) / (width - taken));
    this.chart.timeScale().setVisibleLogicalRange({ from: this.count - shown - 0.5, to: this.count - 0.5 + room });
    this.fresh = false;
  }

  /** `lines` as `nearest` gives them. */
  draw(lines) {
    for (const line of this.lines) this.price.removePriceLine(line);
    this.shown = lines;
    const color = tokens();
    const labelled = this.element.clientWidth > 700 ? LABELLED.wide : LABELLED.narrow;
    this.lines = lines.map(({ order, price, side, distance }, place) => {
      const far = distance === null ? "" : ` ${percent(distance)}%`;
      const look = { color: side === "buy" ? color.bid : color.ask, lineWidth: 1, lineStyle: order.order_type === "LIMIT" ? LineStyle.Dashed : LineStyle.SparseDotted };
      return this.price.createPriceLine({ price, title: `#${String(order.id).slice(-6)} ${side}${far}`, axisLabelVisible: place < labelled, ...look });
    });
    if (this.fresh) this.whole();
  }
}

/** What stands above the chart: the price, how old it is, and how many orders are drawn. */
export function headline({ symbol, market, last, closed, drawn, total }, decimals) {
  const price = last === null ? "no price" : fixed(last, decimals);
  const orders = total === 0 ? "no pending orders" : drawn < total ? `${drawn} of ${fixed(total, 0)} pending orders, the nearest` : `${fixed(total, 0)} pending order${total === 1 ? "" : "s"}`;
  return { price, text: `${symbol} ${market}${closed ? "" : ", candle still open"} · ${orders}` };
}
