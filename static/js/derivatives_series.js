// What the server tells of a contract, step by step, joined into one axis: points with their flow, liquidations and gaps.

/** A point: {time, mark, index, rate, due, interest, value, minutes, open}. Times are epoch seconds. */
export class Contract {
  constructor(state) {
    this.points = new Map();
    this.liquidated = new Map();
    this.flow = {};
    this.silences = [];
    this.take(state);
  }

  /** A whole state, or the steps from some time on. */
  take(state) {
    [this.step, this.expected] = [state.step, state.expected];
    this.kept = state.kept;
    for (const [time, mark, index, rate, due, interest, value, minutes] of state.points) this.points.set(time, { time, mark, index, rate, due, interest, value, minutes });
    for (const time of [...this.liquidated.keys()]) if (time >= state.first) this.liquidated.delete(time);
    for (const [time, position, notional, count, price, largest] of state.liquidated) {
      const at = this.liquidated.get(time) ?? {};
      this.liquidated.set(time, { ...at, [position]: { notional, count, price, largest } });
    }
    this.silences = [...this.silences.filter(([, to]) => to < state.first), ...state.silences];
    this.takeFlow(state.flow, state.first);
  }

  /** `points` null: it comes later. */
  takeFlow(flow, first = -Infinity) {
    for (const [market, { source, points }] of Object.entries(flow)) {
      const known = this.flow[market];
      const part = known !== undefined && first !== -Infinity; // what is newer than what is known
      if (points === null || (part && (known.rows === null || known.source !== source))) {
        this.flow[market] = { source, rows: known?.source === source ? known.rows : null }; // all of it is of one source
        continue;
      }
      const older = part ? known.rows : [];
      const rows = points.map(([time, bought, sold, trades, whole]) => ({ time, bought, sold, trades, whole }));
      this.flow[market] = { source, rows: [...older.filter(({ time }) => time < first), ...rows] };
    }
    for (const market of Object.keys(this.flow)) if (!(market in flow)) delete this.flow[market];
  }

  /** Steps older than the range go. */
  forget(first) {
    for (const kept of [this.points, this.liquidated]) for (const time of [...kept.keys()]) if (time < first) kept.delete(time);
    for (const one of Object.values(this.flow)) if (one.rows) one.rows = one.rows.filter(({ time }) => time >= first);
    this.silences = this.silences.filter(([, to]) => to >= first);
  }

  get sorted() {
    return [...this.points.values()].sort((a, b) => a.time - b.time);
  }

  /** When a market's flow is still to be asked for. */
  get lacksFlow() {
    return Object.values(this.flow).some(({ rows }) => rows === null);
  }

  /** Bought minus sold since the range began, by time: {value, whole, bought, sold, trades}. From the first step that
   * lacks trades on, the sum is not exact any more. */
  cvd(market) {
    const found = new Map();
    const { rows, source } = this.flow[market] ?? {};
    if (!rows?.length) return found;
    let [sum, whole, place] = [0, true, 0];
    for (let time = rows[0].time; time <= rows.at(-1).time; time += this.step) {
      const row = rows[place];
      if (row.time === time) {
        place += 1;
        sum += row.bought - row.sold;
        whole &&= row.whole;
        found.set(time, { ...row, value: sum, exact: whole });
      } else if (source === "trades" && row.whole) {
        found.set(time, { bought: 0, sold: 0, trades: 0, whole: true, value: sum, exact: whole }); // ids go on: nobody traded
      } else {
        whole = false;
      }
    }
    return found;
  }

  /** Steps in a row, of those between the first and the last that have it, for which `lacks(point)`: {from, to}. */
  runs(has, points = this.sorted) {
    const first = points.findIndex(has);
    const last = points.findLastIndex(has);
    const found = [];
    for (let i = first; i >= 0 && i <= last; i += 1) {
      if (has(points[i])) continue;
      if (found.at(-1)?.place === i - 1) Object.assign(found.at(-1), { to: points[i].time, place: i });
      else found.push({ from: points[i].time, to: points[i].time, place: i });
    }
    return found;
  }

  /** Gaps of the mark price as the chart marks them; `now` in epoch seconds. */
  markGaps() {
    const points = this.sorted;
    const whole = this.runs(({ mark }) => mark !== null, points).map(({ from, to }) => ({ from, to, text: "no mark price", minutes: true }));
    const floor = (time) => Math.floor(time / this.step) * this.step;
    const parts = this.silences
      .map(([from, to]) => ({ from: Math.max(floor(from), points[0]?.time ?? 0), to: floor(to), text: "", minutes: true, other: true }))
      .filter(({ from, to }) => to - from <= this.step && this.points.has(from) && this.points.has(to));
    return [...whole, ...parts];
  }

  interestGaps() {
    return this.runs(({ interest }) => interest !== null).map(({ from, to }) => ({ from, to, text: "no open interest", minutes: true }));
  }

  /** The first step that has something, and whether the range began before it. */
  since(name) {
    const points = this.sorted;
    const first = points.findIndex((point) => point[name] !== null);
    return first > 0 ? points[first].time : null;
  }
}
