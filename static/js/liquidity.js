// The series that the page holds: columns from the server in, points and gaps for the chart out. Pure.

import { diffQuality } from "./format.js";

/** Steps without a point at the right edge that are still normal: the running minute, and the one being read. */
const PATIENCE = 2.5;

export class Liquidity {
  constructor(state) {
    this.step = state.step;
    this.rows = new Map();
    this.from = state.series.from;
    this.add(state.series);
  }

  /** Adds columns; a point that is there already is replaced. Gives whether anything changed. */
  add(columns) {
    let changed = false;
    columns.time.forEach((time, i) => {
      const row = {
        time,
        quote: [columns.bidValue[i], columns.askValue[i]],
        base: [columns.bidVolume[i], columns.askVolume[i]],
        bidComplete: columns.bidComplete[i] === 1,
        askComplete: columns.askComplete[i] === 1,
      };
      const known = this.rows.get(time);
      changed ||= !known || known.quote[0] !== row.quote[0] || known.quote[1] !== row.quote[1];
      this.rows.set(time, row);
    });
    if (columns.from < this.from) {
      this.from = columns.from;
      changed = true;
    }
    if (changed) this.order();
    return changed;
  }

  order() {
    this.sorted = [...this.rows.values()].sort((a, b) => a.time - b.time);
  }

  get first() {
    return this.sorted?.[0]?.time ?? null;
  }

  get last() {
    return this.sorted?.at(-1)?.time ?? null;
  }

  /** One point a step from the beginning of the loaded stretch to `end` (seconds); a missing one has only its time. */
  points(unit, end) {
    const points = [];
    const stop = Math.max(this.last ?? 0, Math.floor(end / this.step) * this.step);
    for (let time = Math.ceil(this.from / this.step) * this.step; time <= stop; time += this.step) {
      const row = this.rows.get(time);
      points.push(row ? point(row, unit) : { time });
    }
    return points;
  }

  /** Stretches between two points (or after the last one) that were not collected, as times of the points around. */
  gaps(end) {
    const gaps = [];
    const rows = this.sorted ?? [];
    for (let i = 1; i < rows.length; i += 1) {
      if (rows[i].time - rows[i - 1].time > this.step) gaps.push({ from: rows[i - 1].time, to: rows[i].time });
    }
    const edge = Math.floor(end / this.step) * this.step;
    if (rows.length && end - this.last > PATIENCE * this.step) gaps.push({ from: this.last, to: edge, open: true });
    return gaps;
  }
}

function point(row, unit) {
  const [bid, ask] = row[unit];
  const { time, bidComplete, askComplete } = row;
  return { time, bid, ask, diff: bid - ask, bidComplete, askComplete, quality: diffQuality(bidComplete, askComplete) };
}
