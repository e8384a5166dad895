// The card of the DEX page that draws pending orders on a symbol's price chart: its choices, its candles, its lines.

import { OrdersChart, headline, lineOf, nearest } from "./dex_chart.js";
import { age, clock, zoneName } from "./format.js";
import { getJson } from "./poll.js";

const PERIOD = 15000; // milliseconds between two readings of the candles
const CANDLES = 240;
const MOST_MISSING = 1000; // places of one gap
const SECONDS = { 1: 60, 5: 300, 15: 900, "1H": 3600 };

/** Candles with an empty place for each that is missing. */
function withGaps(rows, step) {
  return rows.flatMap((row, i) => {
    const missing = i ? Math.min(MOST_MISSING, Math.round((row.time - rows[i - 1].time) / step) - 1) : 0;
    return [...Array.from({ length: Math.max(0, missing) }, (_, n) => ({ time: row.time - (missing - n) * step })), row];
  });
}

export class LinesCard {
  /** `chosen({chart, tf})` hears of another symbol or timeframe; `now()` tells the server's time, epoch milliseconds. */
  constructor(card, chosen, now) {
    this.card = card;
    this.now = now;
    this.form = card.querySelector("form");
    this.lines = new Map();
    this.rows = [];
    this.readAt = -Infinity;
    this.timeframe = "1";
    this.form.addEventListener("change", () => chosen({ chart: this.form.elements.chart.value, tf: this.form.elements.tf.value === "1" ? "" : this.form.elements.tf.value }));
    this.form.addEventListener("submit", (event) => event.preventDefault());
  }

  /** What the server says of it: `state` as the page's `chart`, null where nothing can be drawn. */
  show(state, timeframe) {
    const other = state?.symbol !== this.state?.symbol || timeframe !== this.timeframe;
    [this.state, this.timeframe] = [state, timeframe in SECONDS ? timeframe : "1"];
    this.card.hidden = state === null;
    if (state === null) return;
    this.lines = new Map(state.orders.map((order) => [order.id, lineOf(order, state)]));
    this.total = state.total;
    this.choices();
    if (other) [this.rows, this.readAt, this.problem] = [[], -Infinity, ""];
    this.draw(other);
  }

  choices() {
    const { chart, tf } = this.form.elements;
    const options = this.state.symbols.map(({ symbol, pending }) => new Option(`${symbol} (${pending})`, symbol, false, symbol === this.state.symbol));
    if (document.activeElement !== chart) chart.replaceChildren(...options);
    tf.value = this.timeframe;
  }

  /** Whether the candles are to be read again. */
  get due() {
    return Boolean(this.state) && performance.now() - this.readAt > PERIOD;
  }

  async read() {
    const { symbol, market } = this.state;
    const timeframe = this.timeframe;
    const wanted = new URLSearchParams({ symbol, marketType: market, timeframe, limit: CANDLES });
    this.readAt = performance.now();
    let candles = null;
    try {
      candles = (await getJson(`${this.card.dataset.candlesUrl}?${wanted}`)).candles;
    } catch (error) {
      this.problem = error.status === 404 ? "There are no candles of this symbol." : "The candles cannot be read now.";
    }
    if (symbol !== this.state?.symbol || timeframe !== this.timeframe) return;
    const afresh = this.rows.length === 0;
    if (candles) {
      this.problem = candles.length ? "" : "There are no candles of this symbol yet.";
      this.rows = candles.map(({ timestamp, open, high, low, close, closed }) => ({ time: timestamp / 1000, open, high, low, close, closed }));
    }
    this.draw(afresh);
  }

  /** A change of an order, as the socket tells it. */
  took(message) {
    if (!this.state) return;
    const id = message.type === "order" ? message.order.id : message.id;
    const before = this.lines.get(id);
    const line = message.type === "order" && message.order.status === "PENDING" ? lineOf(message.order, this.state) : null;
    if (!before && !line) return;
    if (line) this.lines.set(id, line);
    else this.lines.delete(id);
    this.total += Number(Boolean(line)) - Number(Boolean(before));
    this.draw(false);
  }

  draw(afresh) {
    const decimals = Math.max(0, this.state.tick.replace(/0+$/, "").split(".")[1]?.length ?? 0);
    const newest = this.rows.at(-1);
    const drawn = nearest([...this.lines.values()].filter(Boolean), newest?.close ?? null);
    this.chart ??= new OrdersChart(this.card.querySelector(".price-lines"));
    this.chart.candles(withGaps(this.rows, SECONDS[this.timeframe]), decimals, newest?.close ?? null, afresh);
    this.chart.draw(drawn);
    const { price, text } = headline({ ...this.state, total: this.total, last: newest?.close ?? null, closed: newest?.closed ?? true, drawn: drawn.length }, decimals);
    this.card.querySelector(".last-price").textContent = price;
    this.card.querySelector(".what").textContent = text;
    this.list(drawn, decimals);
    this.tick();
  }

  /** The drawn lines as text, for who cannot see the picture. */
  list(drawn, decimals) {
    const words = ({ order, price, side, distance }) => `Order ${order.id}: ${side}, ${order.order_type} at ${price.toFixed(decimals)}${distance === null ? "" : `, ${distance.toFixed(2)}% from the price`}`;
    const items = drawn.map((line) => Object.assign(document.createElement("li"), { textContent: words(line) }));
    this.card.querySelector(".lines-told").replaceChildren(...items);
  }

  tick() {
    if (!this.state) return;
    const newest = this.rows.at(-1);
    const end = newest ? (newest.time + SECONDS[this.timeframe]) * 1000 : 0;
    const old = newest ? this.now() - end : 0;
    const late = old > 90000 ? `The newest candle ended ${age(old)} ago, at ${clock(end)} ${zoneName()}.` : "";
    this.card.querySelector(".problem").textContent = [this.problem, late].filter(Boolean).join(" ");
  }
}
