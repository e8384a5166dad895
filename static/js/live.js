// The live book over its socket, and what its messages make of what the page shows.

import { diffQuality } from "./format.js";
import { KeptSocket } from "./kept_socket.js";

export class Live extends KeptSocket {
  /** `booked(message)` hears of every book, `changed(status)` of every change of status: that of the server, or null
   * while there is no connection. */
  constructor({ booked, changed }) {
    super(changed);
    this.booked = booked;
  }

  /** From now on the book of this symbol on this market. */
  watch(symbol, market) {
    this.connect(`/ws/depth?${new URLSearchParams({ symbol, market })}`);
  }

  hear(message) {
    if (message.wsStatus) this.say(message.wsStatus);
    if (message.type === "snapshot" || message.type === "update") this.booked(message);
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
