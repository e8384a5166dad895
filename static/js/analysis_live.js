// The newest candle and its indicators over the socket: what belongs to one moment is handed on together.

import { KeptSocket } from "./kept_socket.js";

const TOGETHER = 60; // milliseconds: a candle's indicators follow it at once
const FRESH = 40000; // without a word for so long the page asks by itself

export class LiveCandles extends KeptSocket {
  /** `told([{row, told, heardAt, live}])` hears of candles, oldest first: `row` as the server's columns have it, `told`
   * the data of each indicator by its label. */
  constructor(told) {
    super();
    this.told = told;
    this.wanted = null;
    this.live = false;
    this.toldAt = -Infinity;
    this.waiting = new Map();
  }

  /** Whether the socket tells what there is, so that nobody needs to ask. */
  get on() {
    return this.live && this.socket?.readyState === WebSocket.OPEN && performance.now() - this.toldAt < FRESH;
  }

  /** From now on this series with these indicators (labels). */
  watch(symbol, market, timeframe, indicators) {
    const wanted = { symbol, marketType: market, timeframe, indicators };
    if (JSON.stringify(wanted) === JSON.stringify(this.wanted)) return;
    const before = this.wanted;
    this.wanted = wanted;
    this.waiting.clear();
    this.live = false;
    this.connect("/ws/chart-data");
    if (this.socket?.readyState !== WebSocket.OPEN) return this.open();
    if (before.symbol !== symbol || before.marketType !== market || before.timeframe !== timeframe) this.send({ action: "unsubscribe", ...before });
    this.send({ action: "subscribe", ...wanted });
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  opened() {
    this.live = false; // until it has told something
    this.send({ action: "subscribe", ...this.wanted });
  }

  hear(message) {
    const { symbol, marketType, timeframe } = this.wanted;
    if (message.symbol !== symbol || message.marketType !== marketType || message.timeframe !== timeframe) return;
    const { data } = message;
    if (message.type === "price_update") {
      this.live = data.live;
      this.toldAt = this.heardAt;
      const row = [data.timestamp / 1000, data.open, data.high, data.low, data.close, data.volume, data.trades, data.closed, data.minutes, data.expectedMinutes];
      this.keep(data.timestamp, { row, heardAt: data.heardAt, live: data.live });
    } else if (message.type === "indicator_update") {
      const told = this.waiting.get(data.timestamp)?.told ?? {};
      this.keep(data.timestamp, { told: { ...told, [message.indicator]: data } });
    }
  }

  keep(timestamp, part) {
    this.waiting.set(timestamp, { ...this.waiting.get(timestamp), ...part });
    this.flushing ??= setTimeout(() => this.flush(), TOGETHER);
  }

  flush() {
    this.flushing = null;
    const found = [...this.waiting].sort(([a], [b]) => a - b).map(([, one]) => one).filter(({ row }) => row);
    this.waiting.clear();
    if (found.length) this.told(found);
  }
}
