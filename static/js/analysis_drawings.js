// What the analysis chart draws by itself: the cloud between two lines, and the volume profile at the left.

import { View } from "./series.js";

/** Items `{time, value, a, b}`: the stretch between a and b, bid coloured where a is above, ask coloured where below. */
export class CloudView extends View {
  constructor() {
    super(new CloudRenderer());
  }
  priceValueBuilder(item) {
    return [item.a, item.b];
  }
  defaultOptions() {
    return { ...super.defaultOptions(), up: "#8884", down: "#8884", lastValueVisible: false };
  }
}

class CloudRenderer {
  draw(target, toY) {
    const { bars, visibleRange } = this.data ?? {};
    if (!visibleRange) return;
    target.useMediaCoordinateSpace(({ context }) => {
      for (let i = Math.max(1, Math.floor(visibleRange.from)); i < Math.min(bars.length, visibleRange.to + 1); i += 1) {
        const [one, other] = [bars[i - 1], bars[i]];
        if (other.time - one.time !== 1) continue;
        context.fillStyle = other.originalData.a >= other.originalData.b ? this.options.up : this.options.down;
        context.beginPath();
        context.moveTo(one.x, toY(one.originalData.a));
        context.lineTo(other.x, toY(other.originalData.a));
        context.lineTo(other.x, toY(other.originalData.b));
        context.lineTo(one.x, toY(one.originalData.b));
        context.fill();
      }
    });
  }
}

const SHARE = 0.16; // of the pane's width that the longest bar of the profile takes

/** A series primitive: volume by price at the left of the pane. Rows of the value area are stronger, the fullest has a
 * line through the picture. */
export class ProfileMarks {
  constructor() {
    this.profile = null;
    this.views = [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) }];
  }
  attached({ series, requestUpdate }) {
    this.series = series;
    this.requestUpdate = requestUpdate;
  }
  detached() {
    this.series = null;
  }
  paneViews() {
    return this.views;
  }

  /** `profile` as the analysis has it, or null; `style`: {bar, strong, line}. */
  show(profile, style) {
    [this.profile, this.style] = [profile, style];
    this.requestUpdate?.();
  }

  draw(target) {
    if (!this.profile || !this.series) return;
    const { edges, volumes, poc, valueAreaLow, valueAreaHigh } = this.profile;
    const most = Math.max(...volumes) || 1;
    const place = (price) => this.series.priceToCoordinate(price);
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      volumes.forEach((volume, i) => {
        const [bottom, top] = [place(edges[i]), place(edges[i + 1])];
        if (bottom === null || top === null) return;
        const middle = (edges[i] + edges[i + 1]) / 2;
        const inside = middle >= valueAreaLow && middle <= valueAreaHigh;
        context.fillStyle = inside ? this.style.strong : this.style.bar;
        context.fillRect(0, top + 0.5, (volume / most) * mediaSize.width * SHARE, Math.max(1, bottom - top - 1));
      });
      const y = place(poc);
      if (y === null) return;
      context.fillStyle = this.style.line;
      context.fillRect(0, Math.round(y), mediaSize.width, 1);
    });
  }
}
