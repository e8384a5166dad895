// The tables beside the chart: order book and DIFF by band, the same text as depth/tables.py makes for the first paint.

import { MARKS, compact, fixed, percent, quantity } from "./format.js";

const ROWS = 20;
const FULL_BAR = 50; // percent: a DIFF this lopsided fills its half of the bar
const calm = matchMedia("(prefers-reduced-motion: reduce)");

/** Sets a cell's text; with `flash` a change lights up for 300 ms. */
function write(cell, text, flash) {
  const holder = cell.querySelector("span") ?? cell;
  if (holder.textContent === text) return;
  holder.textContent = text;
  if (flash && !calm.matches) cell.animate([{ backgroundColor: "var(--accent-soft)" }, { backgroundColor: "transparent" }], 300);
}

export class OrderBook {
  constructor(element) {
    this.sides = { bids: element.querySelector("#bids tbody"), asks: element.querySelector("#asks tbody") };
    this.unit = element.querySelector("#book-unit");
    this.known = { bids: new Map(), asks: new Map() }; // what stood at each price
  }

  show(state, flash) {
    const book = state.book ?? { bids: [], asks: [] };
    const sum = (levels) => levels.slice(0, ROWS).reduce((total, [, amount]) => total + amount, 0);
    const deepest = Math.max(sum(book.bids), sum(book.asks)) || 1;
    this.unit.textContent = state.base;
    for (const [name, body] of Object.entries(this.sides)) {
      this.side(name, body, book[name], state, deepest, flash);
      this.known[name] = new Map(book[name]);
    }
  }

  side(name, body, levels, state, deepest, flash) {
    let total = 0;
    for (let i = 0; i < ROWS; i += 1) {
      const level = levels[i];
      total += level?.[1] ?? 0;
      const row = body.rows[i];
      const cell = (key) => row.querySelector(`[data-cell=${key}]`);
      write(cell("price"), level ? fixed(level[0], state.priceDecimals) : "", false);
      // A level that another one moved has not changed: only an amount at its own price lights up.
      const changed = flash && level && (this.known[name].get(level[0]) ?? level[1]) !== level[1];
      write(cell("amount"), level ? quantity(level[1], state.quantityDecimals) : "", changed);
      write(cell("total"), level ? quantity(total, state.quantityDecimals) : "", false);
      const fill = level ? Math.round((total / deepest) * 1000) / 10 : 0;
      const bar = row.querySelector("rect");
      bar.setAttribute("width", fill);
      bar.setAttribute("x", name === "bids" ? 100 - fill : 0);
    }
  }
}

export class DiffPanel {
  /** `addressOf(depth)` gives the link of a band. */
  constructor(element, addressOf) {
    this.table = element.querySelector("table");
    this.body = this.table.tBodies[0];
    this.unit = element.querySelector("#diff-unit");
    this.addressOf = addressOf;
    this.order = { key: "depth", up: true };
    for (const button of this.table.tHead.querySelectorAll("button")) {
      button.addEventListener("click", () => this.sort(button.dataset.sort));
    }
  }

  show(state, choice, flash) {
    this.state = state;
    this.choice = choice;
    this.unit.textContent = state[choice.unit];
    if (!state.bands.length) return;
    this.body.querySelector(".blank")?.remove();
    const shown = new Set(state.bands.map((band) => band.depth));
    for (const row of [...this.body.rows]) if (!shown.has(row.dataset.depth)) row.remove();
    for (const band of state.bands) this.row(band, flash);
    this.arrange();
  }

  row(band, flash) {
    const row = [...this.body.rows].find((known) => known.dataset.depth === band.depth) ?? this.create(band.depth);
    const figures = band[this.choice.unit];
    const mark = MARKS[band.quality];
    const texts = {
      bid: (band.bidComplete ? "" : MARKS.least) + compact(figures.bid),
      ask: (band.askComplete ? "" : MARKS.least) + compact(figures.ask),
      diff: mark + compact(figures.diff),
      percentage: mark + percent(figures.percentage, 1),
    };
    for (const [key, text] of Object.entries(texts)) write(row.querySelector(`[data-cell=${key}]`), text, flash);
    row.querySelector("[data-cell=bid]").classList.toggle("partial", !band.bidComplete);
    row.querySelector("[data-cell=ask]").classList.toggle("partial", !band.askComplete);
    row.dataset.quality = band.quality;
    row.dataset.tone = figures.diff >= 0 ? "bid" : "ask";
    if (band.depth === this.choice.depth) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
    row.querySelector("a").dataset.tip = bandTip(band, this.state.book.coverage);
    const width = (Math.min(Math.abs(figures.percentage), FULL_BAR) / FULL_BAR) * 50;
    row.querySelector("rect").setAttribute("width", width);
    row.querySelector("rect").setAttribute("x", figures.diff >= 0 ? 50 : 50 - width);
  }

  create(depth) {
    const row = this.body.insertRow();
    row.dataset.depth = depth;
    row.innerHTML =
      '<th scope="row"><a></a></th><td data-cell="bid" class="bid"></td><td data-cell="ask" class="ask"></td><td data-cell="diff"></td>' +
      '<td data-cell="percentage"><svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect height="1"/></svg><span></span></td>';
    const link = row.querySelector("a");
    link.textContent = depth;
    link.dataset.set = `depth=${depth}`;
    link.href = this.addressOf(depth);
    return row;
  }

  sort(key) {
    this.order = { key, up: this.order.key === key ? !this.order.up : key === "depth" };
    for (const button of this.table.tHead.querySelectorAll("button")) {
      const head = button.closest("th");
      if (button.dataset.sort === key) head.setAttribute("aria-sort", this.order.up ? "ascending" : "descending");
      else head.removeAttribute("aria-sort");
    }
    this.arrange();
  }

  arrange() {
    const { key, up } = this.order;
    const value = (band) => (key === "depth" ? Number(band.depth) : band[this.choice.unit][key]);
    const bands = this.state.bands.toSorted((a, b) => (value(a) - value(b)) * (up ? 1 : -1));
    const rows = new Map([...this.body.rows].map((row) => [row.dataset.depth, row]));
    bands.forEach((band, i) => {
      const row = rows.get(band.depth);
      if (this.body.rows[i] !== row) this.body.insertBefore(row, this.body.rows[i]);
    });
  }
}

/** What is known of a band, in a sentence a side. */
export function bandTip(band, coverage) {
  const side = (name, word) => {
    const reach = coverage[`${name}Percent`];
    const levels = `${fixed(coverage[`${name}Levels`], 0)} levels`;
    const known = reach === null ? `${levels}, the whole side` : `${levels}, to ${reach.toFixed(2)}% ${word}`;
    return `${name.toUpperCase()} ${band[`${name}Complete`] ? "complete" : "at least this much"}: ${known}.`;
  };
  return `${side("bid", "below best bid")} ${side("ask", "above best ask")}`;
}
