// Liquidations over the price: a bubble a step and side, its area after what was liquidated.

const LEAST = 1.5; // pixels of a radius
const OUTLINED = 4;

/** A series primitive. `show` takes {time, price, notional, position}, times as the chart has them. */
export class Bubbles {
  constructor() {
    this.items = [];
    this.views = [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.draw(target) }) }];
  }
  attached({ chart, series, requestUpdate }) {
    [this.chart, this.series, this.requestUpdate] = [chart, series, requestUpdate];
  }
  detached() {
    this.series = null;
  }
  paneViews() {
    return this.views;
  }

  /** `colors`: {long, short}. The largest are drawn first, so that none hides a smaller one. */
  show(items, colors) {
    this.items = items.filter(({ price }) => price !== null).toSorted((a, b) => b.notional - a.notional);
    this.colors = colors;
    this.requestUpdate?.();
  }

  /** Prices of the bubbles in view belong to the picture. */
  autoscaleInfo(from, to) {
    const range = this.items.filter(({ index }) => index >= from && index <= to).map(({ price }) => price);
    return range.length ? { priceRange: { minValue: Math.min(...range), maxValue: Math.max(...range) }, margins: { above: 8, below: 8 } } : null;
  }

  draw(target) {
    if (!this.series || !this.items.length) return;
    const scale = this.chart.timeScale();
    const most = this.items[0].notional || 1;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      const largest = Math.min(20, 7 + mediaSize.width / 90); // there is less room on a phone
      for (const { time, price, notional, position } of this.items) {
        const [x, y] = [scale.timeToCoordinate(time), this.series.priceToCoordinate(price)];
        if (x === null || y === null || x < -largest || x > mediaSize.width + largest) continue;
        context.beginPath();
        const radius = Math.max(LEAST, Math.sqrt(notional / most) * largest);
        context.arc(x, y, radius, 0, Math.PI * 2);
        context.fillStyle = context.strokeStyle = this.colors[position];
        context.globalAlpha = radius < OUTLINED ? 0.55 : 0.28;
        context.fill();
        context.globalAlpha = 0.8;
        if (radius >= OUTLINED) context.stroke();
      }
      context.globalAlpha = 1;
    });
  }
}
