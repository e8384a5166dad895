// The series that the page holds: columns from the server in, points and gaps for the chart out. Pure.

import { diffQuality } from "./format.js";

/** Steps without a point at the right edge that are still normal: the running minute, and the one being read. */
const PATIENCE = 2.5;

export class Liquidity {
  /** `step` in seconds; `columns` as the server gives them. */
  constructor(step, columns) {
    this.step = step;
    this.rows = new Map();
    this.from = columns.from;
    this.add(columns);
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
        minutes: columns.minutes[i],
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

  /** One point a step from the beginning of the loaded stretch to `end` (seconds); a missing one has only its time.
   * With `other`, a second series, each carries that one's point of the same time as `other`. */
  points(unit, end, other = null) {
    const points = [];
    const stop = Math.max(this.last ?? 0, Math.floor(end / this.step) * this.step);
    for (let time = Math.ceil(this.from / this.step) * this.step; time <= stop; time += this.step) {
      const row = this.rows.get(time);
      const beside = other?.rows.get(time);
      points.push({ ...(row ? point(row, unit) : { time }), ...(beside && { other: point(beside, unit) }) });
    }
    return points;
  }

  /** How many minutes the step at `time` could hold by `end` (seconds). */
  expected(time, end) {
    return Math.min(this.step, Math.max(60, Math.floor(end - time - PATIENCE * 60))) / 60;
  }

  /** Stretches between two points (or after the last one) that were not collected, as times of the points around; and
   * hours or days that hold only some of their `minutes`, from the first to the last of a run. */
  gaps(end) {
    const rows = this.sorted ?? [];
    const gaps = this.step > 60 ? this.partial(rows, end) : [];
    for (let i = 1; i < rows.length; i += 1) {
      if (rows[i].time - rows[i - 1].time > this.step) gaps.push({ from: rows[i - 1].time, to: rows[i].time });
    }
    const edge = Math.floor(end / this.step) * this.step;
    if (rows.length && end - this.last > PATIENCE * this.step) gaps.push({ from: this.last, to: edge, open: true });
    return gaps;
  }

  partial(rows, end) {
    const runs = [];
    for (const { time, minutes } of rows) {
      const missing = Math.floor(this.expected(time, end) - minutes);
      if (missing < 1 || time === this.first) continue;
      const last = runs.at(-1);
      if (last?.to === time - this.step) Object.assign(last, { to: time, minutes: last.minutes + missing });
      else runs.push({ from: time, to: time, minutes: missing });
    }
    return runs;
  }
}

function point(row, unit) {
  const [bid, ask] = row[unit];
  const { time, bidComplete, askComplete, minutes } = row;
  return { time, bid, ask, diff: bid - ask, bidComplete, askComplete, minutes, quality: diffQuality(bidComplete, askComplete) };
}
