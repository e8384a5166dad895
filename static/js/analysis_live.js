// The newest candle and its indicators over the socket: opens it, keeps it open, and hands on what came together.

const FIRST_DELAY = 500; // milliseconds before the first try after a loss; twice as long after each failure
const LONGEST_DELAY = 30000;
const SILENCE = 45000; // a heartbeat comes every 30 s
const TOGETHER = 60; // a candle's indicators follow it at once
const FRESH = 40000; // without a word for so long the page asks by itself

export class LiveCandles {
  /** `took([{row, told, heardAt, live}])` hears of candles, oldest first: `row` as the server's columns have it, `told`
   * the data of each indicator by its label. */
  constructor(took) {
    this.took = took;
    this.wanted = null;
    this.failures = 0;
    this.live = false;
    this.toldAt = -Infinity;
    this.waiting = new Map();
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    window.addEventListener("online", () => this.open());
    window.addEventListener("pagehide", () => this.close());
    setInterval(() => this.listen(), 5000);
  }

  /** Whether the socket tells what there is, so that nobody needs to ask. */
  get on() {
    return this.live && performance.now() - this.toldAt < FRESH;
  }

  /** From now on this series with these indicators (labels). */
  watch(symbol, market, timeframe, indicators) {
    const wanted = { symbol, marketType: market, timeframe, indicators };
    if (JSON.stringify(wanted) === JSON.stringify(this.wanted)) return;
    const before = this.wanted;
    this.wanted = wanted;
    this.waiting.clear();
    this.live = this.refused = false;
    if (this.socket?.readyState !== WebSocket.OPEN) return this.open();
    if (before && (before.symbol !== symbol || before.marketType !== market || before.timeframe !== timeframe)) this.say({ action: "unsubscribe", ...before });
    this.say({ action: "subscribe", ...wanted });
  }

  say(message) {
    this.socket.send(JSON.stringify(message));
  }

  open() {
    clearTimeout(this.timer);
    if (document.hidden || this.socket || !this.wanted) return;
    const address = new URL("/ws/chart-data", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onopen = () => socket === this.socket && this.say({ action: "subscribe", ...this.wanted });
    socket.onmessage = ({ data }) => socket === this.socket && this.hear(JSON.parse(data));
    socket.onclose = () => socket === this.socket && this.lose();
  }

  hear(message) {
    this.heardAt = performance.now();
    this.failures = 0;
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
    if (found.length) this.took(found);
  }

  lose() {
    this.socket = null;
    this.live = false;
    if (document.hidden) return;
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures) * (1 + Math.random() * 0.3);
    this.failures += 1;
    this.timer = setTimeout(() => this.open(), delay);
  }

  close() {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = null;
    this.live = false;
    if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close(); // sooner, browsers complain
    else socket?.close();
  }

  /** A connection that says nothing at all is none. */
  listen() {
    if (!this.socket || performance.now() - this.heardAt <= SILENCE) return;
    this.close();
    this.open();
  }
}
