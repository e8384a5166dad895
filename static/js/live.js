// The live book over its socket: opens it, keeps it open, and turns its messages into what the page shows.

import { diffQuality } from "./format.js";

const FIRST_DELAY = 500; // milliseconds before the first try after a loss; twice as long after each failure
const LONGEST_DELAY = 30000;
const SILENCE = 45000; // a heartbeat comes every 30 s
const REFUSED = [4400, 4404]; // asking the same again would bring the same answer

export class Live {
  /** `took(message)` hears of every book, `changed(status)` of every change of status: that of the server, or null
   * while there is no connection. */
  constructor({ took, changed }) {
    this.took = took;
    this.changed = changed;
    this.status = null;
    this.failures = 0;
    document.addEventListener("visibilitychange", () => this.visibility());
    window.addEventListener("online", () => this.key && !this.socket && this.open());
    setInterval(() => this.listen(), 5000);
  }

  /** From now on the book of this symbol on this market. */
  watch(symbol, market) {
    this.follow(`symbol=${encodeURIComponent(symbol)}&market=${market}`);
  }

  /** What is asked of the socket's address. */
  follow(key) {
    if (key === this.key) return;
    this.key = key;
    this.failures = 0;
    this.close();
    this.open();
  }

  get path() {
    return "/ws/depth";
  }

  open() {
    clearTimeout(this.timer);
    if (document.hidden || this.socket) return;
    const address = new URL(`${this.path}?${this.key}`, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.socket = socket;
    this.heard = performance.now();
    socket.onmessage = ({ data }) => socket === this.socket && this.hear(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.lose(code);
  }

  hear(message) {
    this.heard = performance.now();
    this.failures = 0;
    if (message.wsStatus) this.say(message.wsStatus);
    if (message.type === "snapshot" || message.type === "update") this.took(message);
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

/** The page's state with the book and the bands of a message. */
export function withBook(state, message) {
  const pairs = (levels) => levels.map(({ price, volume }) => [price, volume]);
  const book = {
    limit: Math.max(message.coverage.bidLevels, message.coverage.askLevels),
    ...state.book,
    receivedAt: message.timestamp,
    bestBid: message.bestBid.price,
    bestAsk: message.bestAsk.price,
    bids: pairs(message.bids),
    asks: pairs(message.asks),
    coverage: message.coverage,
    source: message.source,
    lastUpdateId: String(message.lastUpdateId),
  };
  return { ...state, book, bands: message.depthVolumes.map(band) };
}

/** `fresh`, with the book and the bands that the page has where they are newer. */
export function withNewer(state, fresh) {
  const same = state.symbol === fresh.symbol && state.market === fresh.market;
  if (!same || !((state.book?.receivedAt ?? 0) > (fresh.book?.receivedAt ?? 0))) return fresh;
  return { ...fresh, book: { ...fresh.book, ...state.book }, bands: state.bands };
}

function band(row) {
  const { bidComplete, askComplete } = row;
  const figures = (bid, ask) => ({ bid, ask, diff: bid - ask, percentage: bid + ask ? ((bid - ask) / (bid + ask)) * 100 : 0 });
  return {
    depth: String(row.depth),
    bidComplete,
    askComplete,
    quality: diffQuality(bidComplete, askComplete),
    quote: figures(row.totalBidValue, row.totalAskValue),
    base: figures(row.bidVolume, row.askVolume),
  };
}

/** The chart's points with the live one at their end: the running minute's, until it is kept. Nothing of a book that is
 * not live, nor among averages. */
export function withLivePoint(points, state, unit) {
  const found = state.step === 60 && state.book?.source === "stream" && state.bands.find(({ depth }) => depth === state.depth);
  if (!found) return points;
  const time = Math.floor(state.book.receivedAt / 60000) * 60;
  const last = points.at(-1)?.time ?? time - 60;
  if (time < last || time - last > 600) return points;
  const { bid, ask, diff } = found[unit];
  const { bidComplete, askComplete, quality } = found;
  const kept = points.findLast((point) => point.bid !== undefined);
  if (kept && (knowsLess(bid, bidComplete, kept.bid, kept.bidComplete) || knowsLess(ask, askComplete, kept.ask, kept.askComplete))) return points;
  const before = time === last ? points.slice(0, -1) : [...points];
  for (let missing = last + 60; missing < time; missing += 60) before.push({ time: missing });
  const other = time === last && points.at(-1)?.other;
  return [...before, { time, bid, ask, diff, bidComplete, askComplete, quality, minutes: 1, live: true, ...(other && { other }) }];
}

/** Whether a live sum is only the beginning of what was read a minute ago: its book has just begun to be followed, and
 * is not as deep yet. Drawn, it would look like a fall. */
function knowsLess(live, complete, kept, keptComplete) {
  return !complete && (keptComplete || live < kept / 2);
}
