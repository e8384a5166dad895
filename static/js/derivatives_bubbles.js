// Liquidations over the price: a bubble a step and side, its area after what was liquidated.

const [LEAST, MOST] = [3, 24]; // pixels of a radius

/** A series primitive. `show` takes {time, price, notional, position}, times as the chart has them. */
export class Bubbles {
  constructor() {
    this.items = [];
    this.views = [{ zOrder: () => "top", renderer: () => ({ draw: (target) => this.draw(target) }) }];
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
      for (const { time, price, notional, position } of this.items) {
        const [x, y] = [scale.timeToCoordinate(time), this.series.priceToCoordinate(price)];
        if (x === null || y === null || x < -MOST || x > mediaSize.width + MOST) continue;
        context.beginPath();
        context.arc(x, y, Math.max(LEAST, Math.sqrt(notional / most) * MOST), 0, Math.PI * 2);
        context.fillStyle = context.strokeStyle = this.colors[position];
        context.globalAlpha = 0.3;
        context.fill();
        context.globalAlpha = 0.95;
        context.stroke();
      }
      context.globalAlpha = 1;
    });
  }
}
