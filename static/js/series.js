// What the chart draws by itself: lines with honest stretches, DIFF bars with hatching, marks of gaps.

const NARROW = 4; // pixels: a hatch is not seen in a narrower bar

export class View {
  constructor(renderer) {
    this.drawing = renderer;
  }
  renderer() {
    return this.drawing;
  }
  update(data, options) {
    this.drawing.data = data;
    this.drawing.options = options;
  }
  isWhitespace(item) {
    return item.value === undefined;
  }
  defaultOptions() {
    return { color: "#888", width: 1.6, lastValueVisible: true, priceLineVisible: false };
  }
}

/** Items `{time, value, complete}`. Solid where complete, paler and dashed where not, broken where points are missing. */
export class LineView extends View {
  constructor() {
    super(new LineRenderer());
  }
  priceValueBuilder(item) {
    return [item.value];
  }
}

class LineRenderer {
  draw(target, toY) {
    if (!this.data?.visibleRange || !this.data.bars.length) return;
    const runs = this.runs();
    target.useBitmapCoordinateSpace(({ context, horizontalPixelRatio: sx, verticalPixelRatio: sy }) => {
      context.lineJoin = "round";
      context.strokeStyle = context.fillStyle = this.options.color;
      for (const run of runs) this.run(context, run, toY, sx, sy);
    });
  }

  /** Neighbouring bars of one style; a run begins with the last bar of the one before it unless a gap parts them. */
  runs() {
    const { bars, visibleRange } = this.data;
    const from = Math.max(0, Math.floor(visibleRange.from) - 1);
    const to = Math.min(bars.length, Math.ceil(visibleRange.to) + 2);
    const runs = [];
    let run = null;
    for (let i = from; i < to; i += 1) {
      const [bar, previous] = [bars[i], bars[i - 1]];
      const joined = i > from && bar.time - previous.time === 1; // places on the time scale, one a step
      const complete = bar.originalData.complete && (!joined || previous.originalData.complete);
      if (!joined) run = null;
      if (!run || (run.complete !== complete && run.bars.length > 1)) {
        run = { complete, bars: run ? [previous, bar] : [bar] };
        runs.push(run);
      } else {
        run.complete = complete;
        run.bars.push(bar);
      }
    }
    return runs;
  }

  run(context, run, toY, sx, sy) {
    context.beginPath();
    context.globalAlpha = run.complete ? 1 : 0.7;
    context.setLineDash(run.complete ? [] : [4 * sx, 3 * sx]);
    context.lineWidth = Math.max(1, Math.round(this.options.width * sy));
    run.bars.forEach((bar, i) => {
      const [x, y] = [bar.x * sx, toY(bar.originalData.value) * sy];
      if (i) context.lineTo(x, y);
      else context.moveTo(x, y);
    });
    if (run.bars.length > 1) context.stroke();
    else this.dot(context, run.bars[0], toY, sx, sy);
    context.globalAlpha = 1;
    context.setLineDash([]);
  }

  dot(context, bar, toY, sx, sy) {
    context.beginPath();
    context.arc(bar.x * sx, toY(bar.originalData.value) * sy, 2 * sx, 0, Math.PI * 2);
    context.fill();
  }
}

/** Items `{time, value, quality}`: bars from zero, bid coloured above and ask coloured below, hatched where a bound. */
export class DiffView extends View {
  constructor() {
    super(new DiffRenderer());
  }
  priceValueBuilder(item) {
    return [0, item.value];
  }
  defaultOptions() {
    return { ...super.defaultOptions(), bidColor: "#888", askColor: "#888", unknownColor: "#888" };
  }
}

class DiffRenderer {
  draw(target, toY) {
    const { bars, visibleRange, barSpacing } = this.data ?? {};
    if (!visibleRange || !bars.length) return;
    target.useBitmapCoordinateSpace(({ context, horizontalPixelRatio: sx, verticalPixelRatio: sy }) => {
      const width = Math.max(1, Math.floor(barSpacing * 0.8 * sx));
      const zero = Math.round(toY(0) * sy);
      const paints = new Map();
      for (let i = Math.max(0, Math.floor(visibleRange.from)); i < Math.min(bars.length, visibleRange.to + 1); i += 1) {
        const { value, quality } = bars[i].originalData;
        const color = quality === "unknown" ? this.options.unknownColor : value >= 0 ? this.options.bidColor : this.options.askColor;
        const hatched = quality !== "exact";
        const key = color + hatched;
        if (!paints.has(key)) paints.set(key, hatched && width >= NARROW * sx ? hatch(context, color, sx) : color);
        const end = Math.round(toY(value) * sy);
        context.fillStyle = paints.get(key);
        context.globalAlpha = hatched ? (width >= NARROW * sx ? 0.9 : 0.45) : 0.8;
        context.fillRect(Math.round(bars[i].x * sx - width / 2), Math.min(zero, end), width, Math.max(1, Math.abs(end - zero)));
      }
      context.globalAlpha = 1;
    });
  }
}

function hatch(context, color, scale) {
  const size = Math.round(6 * scale);
  const tile = document.createElement("canvas");
  tile.width = tile.height = size;
  const pen = tile.getContext("2d");
  pen.strokeStyle = color;
  pen.lineWidth = size / 3;
  for (const shift of [-size, 0, size]) {
    pen.moveTo(shift, size);
    pen.lineTo(shift + size, 0);
  }
  pen.stroke();
  return context.createPattern(tile, "repeat");
}

/** A pane primitive: every gap is a faint stretch with a thin bar at the bottom of the pane, and its cause where it fits.
 * Hours that lack minutes, and gaps of the market that is drawn beside, have the bar alone, a little higher. Before the
 * first point stands since when anything is kept. */
export class GapMarks {
  constructor() {
    this.gaps = [];
    this.since = null;
    this.style = { fill: "#0000", bar: "#888", text: "#888", font: "sans-serif" };
    const view = { zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) };
    this.views = [view];
  }
  attached({ chart, requestUpdate }) {
    this.chart = chart;
    this.requestUpdate = requestUpdate;
  }
  detached() {
    this.chart = null;
  }
  paneViews() {
    return this.views;
  }

  /** `gaps`: {from, to, text, minutes, other}; `since`: {time, text} of the first point, or null. Times as the chart has them. */
  show(gaps, since, style) {
    [this.gaps, this.since, this.style] = [gaps, since, style];
    this.requestUpdate?.();
  }

  draw(target) {
    const place = (time) => this.chart?.timeScale().timeToCoordinate(time) ?? null;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.font = `11px ${this.style.font}`;
      for (const gap of this.gaps) this.gap(context, mediaSize, place(gap.from), place(gap.to), gap);
      const first = this.since && place(this.since.time);
      if (first === null) return;
      context.textAlign = "right";
      context.fillStyle = this.style.text;
      if (first - 16 > context.measureText(this.since.text).width) context.fillText(this.since.text, first - 8, mediaSize.height - 10);
    });
  }

  gap(context, size, first, last, { text, minutes, other }) {
    if (first === null || last === null) return;
    const room = minutes ? this.chart.timeScale().options().barSpacing / 2 : 0; // a run of bars, its ends included
    const [from, width] = [first - room, Math.max(1, last - first + 2 * room)];
    const slight = Boolean(minutes || other);
    context.fillStyle = this.style.fill;
    if (!slight) context.fillRect(from, 0, width, size.height);
    context.fillStyle = this.style.bar;
    context.fillRect(from, size.height - (other ? 5 : 2), width, 2);
    context.textAlign = "center";
    if (context.measureText(text).width + 12 < width) context.fillText(text, from + width / 2, size.height - (other ? 22 : 10));
  }
}
