// Trades over their socket: opens it, keeps it open while the page is seen, and hands on what comes.

const FIRST_DELAY = 500; // milliseconds before the first try after a loss; twice as long after each failure
const LONGEST_DELAY = 30000;
const SILENCE = 45000; // a heartbeat comes every 30 s
const REFUSED = [4400, 4404]; // asking the same again would bring the same answer

export class LiveTrades {
  /** `took(message)` hears of every snapshot and batch of trades, `changed(status)` of every change: connected, stale,
   * disconnected, off, connecting; null while there is no connection. */
  constructor({ took, changed }) {
    this.took = took;
    this.changed = changed;
    this.status = null;
    this.failures = 0;
    document.addEventListener("visibilitychange", () => this.visibility());
    window.addEventListener("online", () => this.key && !this.socket && this.open());
    setInterval(() => this.listen(), 5000);
  }

  watch(symbol, market, least) {
    const key = new URLSearchParams({ type: "trades", symbol, market, minNotional: least }).toString();
    if (key === this.key) return;
    this.key = key;
    this.failures = 0;
    this.close();
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    if (document.hidden || this.socket) return;
    const address = new URL(`/ws?${this.key}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = ({ data }) => socket === this.socket && this.hear(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.lose(code);
  }

  hear(message) {
    this.heard = performance.now();
    if (message.type === "error") return;
    this.failures = 0;
    if (message.wsStatus) this.say(message.wsStatus);
    if (message.type === "snapshot" || message.type === "trades") this.took(message);
  }

  say(status) {
    if (status === this.status) return;
    this.status = status;
    this.changed(status);
  }

  lose(code) {
    this.socket = null;
    this.say(null);
    if (document.hidden || REFUSED.includes(code)) return;
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures) * (1 + Math.random() * 0.3);
    this.failures += 1;
    this.timer = setTimeout(() => this.open(), delay);
  }

  close() {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = null;
    if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close(); // sooner, browsers complain
    else socket?.close();
    this.say(null);
  }

  /** A connection that says nothing at all is none. */
  listen() {
    if (this.socket && performance.now() - this.heard > SILENCE) {
      this.close();
      this.open();
    }
  }

  visibility() {
    if (!this.key) return;
    if (document.hidden) this.close();
    else this.open();
  }
}
