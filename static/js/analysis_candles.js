// The candles that the page holds, with their indicators: columns from the server in, a time axis and gaps out. Pure.

const LONGEST_GAP = 300; // missing candles drawn one by one; a longer gap is drawn shortened and says its length

export class Candles {
  /** `minutes` of a candle, 0 for months; `whole`: labels whose values count from the first candle asked for. */
  constructor(minutes, whole = new Set()) {
    this.minutes = minutes;
    this.whole = whole;
    this.rows = new Map();
    this.sorted = [];
  }

  /** Adds the server's columns; a candle that is there is replaced. Gives how many are new. */
  take({ candles, indicators }) {
    const fresh = candles.map(candleOf);
    for (const [label, lines] of Object.entries(indicators)) this.lines(fresh, label, lines);
    let added = 0;
    for (const candle of fresh) {
      const known = this.rows.get(candle.time);
      if (!known) added += 1;
      this.rows.set(candle.time, { ...candle, values: { ...known?.values, ...candle.values } });
    }
    this.ahead = aheadOf(indicators, this.last?.time ?? -1, fresh.at(-1)?.time) ?? this.ahead;
    this.sorted = [...this.rows.values()].sort((a, b) => a.time - b.time);
    return added;
  }

  /** Puts each line's values to the candles; sums that begin with the answer go on from those that are there. */
  lines(fresh, label, lines) {
    for (const [line, values] of Object.entries(Array.isArray(lines) ? { "": lines } : lines)) {
      if (line.startsWith("ahead")) continue;
      const key = keyOf(label, line);
      let shift = 0;
      if (this.whole.has(label)) {
        const shared = fresh.findIndex((candle, i) => values[i] !== null && candle.closed && this.rows.get(candle.time)?.closed && this.rows.get(candle.time).values[key] != null);
        if (shared >= 0) shift = this.rows.get(fresh[shared].time).values[key] - values[shared];
      }
      fresh.forEach((candle, i) => (candle.values[key] = values[i] === null ? null : values[i] + shift));
    }
  }

  /** A candle as it was told live, with its indicators' data by label. Sums go on from those that are here; `moved` are
   * the candles by which a line (by its key) stands behind the price. */
  live(row, told, moved = {}) {
    const indicators = {};
    for (const [label, { value, previous, ahead }] of Object.entries(told)) {
      const base = this.whole.has(label) ? this.sorted.findLast((candle) => candle.closed && candle.time < row[0])?.values[label] : undefined;
      if (this.whole.has(label)) indicators[label] = [base == null || previous === null ? null : base + value - previous];
      else if (value === null || typeof value === "number") indicators[label] = [value];
      else indicators[label] = { ...Object.fromEntries(Object.entries(value).map(([line, one]) => [line, [one]])), ...ahead };
    }
    const whole = this.whole;
    this.whole = new Set(); // they are joined already
    this.take({ candles: [row], indicators });
    this.whole = whole;
    const place = this.sorted.findIndex(({ time }) => time === row[0]);
    for (const [key, count] of Object.entries(moved)) if (this.sorted[place - count]) this.sorted[place - count].values[key] = row[4];
  }

  get first() {
    return this.sorted[0] ?? null;
  }

  get last() {
    return this.sorted.at(-1) ?? null;
  }

  get lastClosed() {
    return this.sorted.findLast((candle) => candle.closed) ?? null;
  }

  at(time) {
    return this.rows.get(time) ?? null;
  }

  /** The opening time of the candle `count` after (before, when negative) the one that opens then; epoch seconds. */
  shift(time, count) {
    if (this.minutes) return time + count * this.minutes * 60;
    const date = new Date(time * 1000);
    return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + count, 1) / 1000;
  }

  /** How many candles lie between two that follow each other here. */
  missingBetween(from, to) {
    if (this.minutes) return Math.round((to - from) / (this.minutes * 60)) - 1;
    const [a, b] = [new Date(from * 1000), new Date(to * 1000)];
    return (b.getUTCFullYear() - a.getUTCFullYear()) * 12 + b.getUTCMonth() - a.getUTCMonth() - 1;
  }

  /** {points, gaps}: a point for each candle and for each missing one (only its time), `ahead` more after the last. */
  axis(ahead) {
    const points = [];
    const gaps = [];
    let previous = null;
    for (const candle of this.sorted) {
      const missing = previous ? this.missingBetween(previous.time, candle.time) : 0;
      for (let n = 1; n <= Math.min(missing, LONGEST_GAP); n += 1) points.push({ time: this.shift(previous.time, n) });
      if (missing > 0) gaps.push({ from: previous.time, to: candle.time, text: `${missing} candle${missing > 1 ? "s" : ""} missing` });
      points.push(candle);
      previous = candle;
    }
    for (let n = 1; previous && n <= ahead; n += 1) points.push({ time: this.shift(previous.time, n) });
    return { points, gaps: [...gaps, ...this.partial()] };
  }

  /** Runs of closed candles that lack minutes, as marks. */
  partial() {
    const runs = [];
    for (const { time, minutes, expected } of this.sorted) {
      const lacking = expected - minutes;
      if (lacking <= 0) continue;
      const last = runs.at(-1);
      if (last && this.shift(last.to, 1) === time) Object.assign(last, { to: time, minutes: last.minutes + lacking });
      else runs.push({ from: time, to: time, minutes: lacking });
    }
    return runs.map((run) => ({ ...run, text: `${run.minutes} min missing` }));
  }

  /** Where the candles stop: missing ones up to now, where the open one should be there. */
  lacksNow(now) {
    return this.last ? Math.max(0, this.missingBetween(this.last.time, now)) : 0;
  }
}

export function keyOf(label, line) {
  return line ? `${label}|${line}` : label;
}

function candleOf([time, open, high, low, close, volume, trades, closed, minutes, expected]) {
  return { time, open, high, low, close, volume, trades, closed, minutes, expected, values: {} };
}

/** The lines over candles to come, of the answer that holds the newest candle. */
function aheadOf(indicators, known, newest) {
  if (newest === undefined || newest < known) return null;
  const found = {};
  for (const [label, lines] of Object.entries(indicators)) {
    if (Array.isArray(lines)) continue;
    for (const [line, values] of Object.entries(lines)) if (line.startsWith("ahead")) found[keyOf(label, line)] = values;
  }
  return found;
}
