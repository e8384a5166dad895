// The platform's own depth beside the candles: one band's BID minus ASK, averaged over each candle, with its marks.

import { diffQuality } from "./format.js";
import { getJson } from "./poll.js";

const STRETCH = { 60: 59 * 3600, 3600: 145 * 86400, 86400: 3000 * 86400 }; // seconds that one answer holds at a step
const STEPS = { "1m": 60, "1h": 3600, "1d": 86400 };
const AGAIN = 60_000; // milliseconds; a book is kept every minute

export class Depth {
  constructor(url) {
    this.url = url;
    this.reset("");
  }

  /** Another symbol, market, band or timeframe: what is there no longer counts. */
  reset(key) {
    this.key = key;
    this.points = new Map();
    this.from = null; // epoch seconds from which on everything has been asked for
    this.until = 0;
    this.askedAt = -Infinity;
    this.problem = "";
  }

  /** Whether the newest minutes are due. */
  get due() {
    return performance.now() - this.askedAt > AGAIN;
  }

  step(minutes) {
    return minutes && minutes < 60 ? 60 : minutes && minutes < 1440 ? 3600 : 86400;
  }

  /** Asks for what is missing between two moments (epoch seconds): the newest first. Gives whether there is
   * anything to show of it: points, or a problem. */
  async fetch(choice, minutes, from, now, signal) {
    const key = this.key;
    const span = STRETCH[this.step(minutes)];
    const newest = this.from === null || this.due;
    const to = newest ? now : this.from;
    const start = Math.max(from, newest && this.from !== null ? this.until - 120 : to - span, to - span);
    if (start >= to) return false;
    if (newest) this.askedAt = performance.now();
    const query = { symbol: choice.symbol, marketType: choice.market, depth: choice.depth, type: "both", from: Math.floor(start), to: Math.floor(to) };
    let body;
    this.problem = "";
    try {
      body = await getJson(`${this.url}?${new URLSearchParams(query)}`, signal);
    } catch (error) {
      if (error.status !== 404) throw error;
    }
    if (key !== this.key) return false; // what came is of another choice
    if (!body) {
      this.problem = "its depth is not collected";
      return true;
    }
    for (const point of body.data) this.points.set(point.time, { ...point, step: STEPS[body.interval] });
    if (newest) this.until = to;
    this.from = Math.min(this.from ?? Infinity, start);
    return true;
  }

  /** {bid, ask, diff, percentage, quality, count} by the candles' times: means over the points within each candle. Points
   * of longer steps than the candles are left out: they would be drawn as what they are not. */
  byCandle(candles) {
    const found = new Map();
    const times = candles.sorted.map((candle) => candle.time);
    const sums = new Map();
    for (const point of [...this.points.values()].sort((a, b) => a.time - b.time)) {
      const time = times[lastNotAfter(times, point.time)];
      if (time === undefined || point.time >= candles.shift(time, 1)) continue;
      if (candles.minutes && point.step > candles.minutes * 60) continue;
      const sum = sums.get(time) ?? { bid: 0, ask: 0, count: 0, bidComplete: true, askComplete: true };
      sums.set(time, {
        bid: sum.bid + point.bid,
        ask: sum.ask + point.ask,
        count: sum.count + 1,
        bidComplete: sum.bidComplete && point.bidComplete,
        askComplete: sum.askComplete && point.askComplete,
      });
    }
    for (const [time, { bid, ask, count, bidComplete, askComplete }] of sums) {
      const share = bid + ask ? ((bid - ask) / (bid + ask)) * 100 : 0;
      found.set(time, { bid: bid / count, ask: ask / count, diff: (bid - ask) / count, percentage: share, quality: diffQuality(bidComplete, askComplete), count });
    }
    return found;
  }
}

function lastNotAfter(times, time) {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (times[middle] <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
