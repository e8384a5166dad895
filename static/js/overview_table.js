// The overview's rows: the same text as depth/overview_table.py makes for the first paint, updated in place.

import { MARKS, age, basisPoints, compact, diffQuality, fixed, percent } from "./format.js";
import { RowsInView } from "./rows_in_view.js";

const LEAST_SCALE = 10;
const STALE = 150_000;
const DASH = "–";
const calm = matchMedia("(prefers-reduced-motion: reduce)");

const share = (bid, ask) => (bid + ask ? ((bid - ask) / (bid + ask)) * 100 : 0);
const ofBand = (read) => (row) => (row.book?.band ? read(row.book.band.totalBidValue, row.book.band.totalAskValue) : null);
const ofBook = (name) => (row) => row.book?.[name] ?? null;

const FIGURES = {
  symbol: (row) => row.symbol,
  price: ofBook("midPrice"),
  change1h: ofBook("change1h"),
  change24h: ofBook("change24h"),
  spread: ofBook("spreadBps"),
  bid: ofBand((bid) => bid),
  ask: ofBand((_, ask) => ask),
  diff: ofBand((bid, ask) => bid - ask),
  percentage: ofBand(share),
  trend: (row) => {
    const known = row.trend?.percentage.filter((value) => value !== null) ?? [];
    return known.length ? known.at(-1) - known[0] : null;
  },
  reach: (row) => (row.book ? Math.min(row.book.coverage.bidPercent ?? Infinity, row.book.coverage.askPercent ?? Infinity) : null),
  volume: (row) => row.volume24h,
  age: (row) => (row.book ? -row.book.timestamp : null),
};

/** Rows as chosen; those without the figure last, whichever the direction. */
export function ordered(rows, { sort, dir }) {
  const figure = FIGURES[sort];
  const sign = dir === "desc" ? -1 : 1;
  const compare = (a, b) => (a < b ? -sign : a > b ? sign : 0);
  const known = rows.filter((row) => figure(row) !== null);
  return [...known.toSorted((a, b) => compare(figure(a), figure(b))), ...rows.filter((row) => figure(row) === null)];
}

/** The trend as two SVG paths in a box of 60 by 20: `line` where both sides were complete, `dashed` where not. */
export function trendPaths(trend) {
  const known = trend?.percentage.filter((value) => value !== null) ?? [];
  if (!known.length) return { line: "", dashed: "", tone: "" };
  const scale = Math.max(LEAST_SCALE, ...known.map(Math.abs));
  const points = trend.percentage.map((value, at) => (value === null ? null : `${at} ${(10 - (value / scale) * 9).toFixed(1)}`));
  const careful = new Set(trend.incomplete.flatMap(([first, end]) => Array.from({ length: end - first }, (_, i) => first + i)));
  const parts = { line: "", dashed: "" };
  points.forEach((point, at) => {
    if (point === null) return;
    const next = points[at + 1] ?? null;
    if (next !== null) parts[careful.has(at) || careful.has(at + 1) ? "dashed" : "line"] += `M${point}L${next}`;
    else if (!at || points[at - 1] === null) parts[careful.has(at) ? "dashed" : "line"] += `M${point}h.1`;
  });
  return { ...parts, tone: known.at(-1) >= 0 ? "bid" : "ask" };
}

/** What is known of the band, in a sentence a side. */
export function bandTip(book) {
  if (!book) return "No book has been read yet.";
  if (!book.band) return "This band was not kept of this book.";
  const side = (name, word) => {
    const reach = book.coverage[`${name}Percent`];
    const levels = `${fixed(book.coverage[`${name}Levels`], 0)} levels`;
    const known = reach === null ? `${levels}, the whole side` : `${levels}, to ${reach.toFixed(2)}% ${word}`;
    return `${name.toUpperCase()} ${book.band[`${name}Complete`] ? "complete" : "at least this much"}: ${known}.`;
  };
  return `${side("bid", "below best bid")} ${side("ask", "above best ask")}`;
}

function reachText({ bidPercent, askPercent }) {
  const side = (reach) => (reach === null ? "whole" : reach.toFixed(2));
  if (bidPercent === null && askPercent === null) return "whole book";
  return `−${side(bidPercent)} +${side(askPercent)}`;
}

const tone = (change) => (!change ? "" : change > 0 ? "bid" : "ask");

/** A row's cells as {key: {text, tone, partial, bar}}. */
function cells(row, largest) {
  const { book } = row;
  const band = book?.band;
  const dash = { text: DASH };
  const change = (value) => ({ text: value == null ? DASH : percent(value), tone: tone(value) });
  const found = {
    price: book ? { text: fixed(book.midPrice, row.priceDecimals) } : dash,
    change1h: change(book?.change1h),
    change24h: change(book?.change24h),
    spread: book ? { text: basisPoints(book.spreadBps) } : dash,
    reach: book ? { text: reachText(book.coverage) } : dash,
    volume: { text: row.volume24h ? compact(row.volume24h) : DASH },
  };
  if (!band) return { ...found, bid: dash, ask: dash, diff: dash, percentage: dash, quality: "none", tone: "" };
  const [bid, ask] = [band.totalBidValue, band.totalAskValue];
  const quality = diffQuality(band.bidComplete, band.askComplete);
  const mark = MARKS[quality];
  const side = (name, value, whole) => ({ text: (whole ? "" : MARKS.least) + compact(value), tone: name, partial: !whole, bar: (value / largest) * 100 });
  return {
    ...found,
    bid: side("bid", bid, band.bidComplete),
    ask: side("ask", ask, band.askComplete),
    diff: { text: mark + compact(bid - ask) },
    percentage: { text: mark + percent(share(bid, ask), 1), bar: Math.abs(share(bid, ask)) / 2 },
    quality,
    tone: bid >= ask ? "bid" : "ask",
  };
}

const FLASHED = new Set(["price", "bid", "ask", "diff", "percentage"]);

function write(cell, text, flash) {
  const holder = cell.querySelector("span") ?? cell;
  if (holder.textContent === text) return;
  holder.textContent = text;
  if (flash && !calm.matches && cell.isConnected) cell.animate([{ backgroundColor: "var(--accent-soft)" }, { backgroundColor: "transparent" }], 300);
}

export class OverviewTable {
  /** `addressOf(symbol)` gives the chart page of a symbol. */
  constructor(table, addressOf) {
    this.table = table;
    this.body = table.tBodies[0];
    this.addressOf = addressOf;
    this.rows = new Map([...this.body.rows].map((row) => [row.dataset.symbol, row]));
    this.told = new Map();
    this.view = new RowsInView(table.closest(".scroll"), this.body);
  }

  /** Brings the rows up to a state; only what differs is touched. `flash`: changed figures light up. */
  show(state, choice, starred, flash) {
    const values = state.data.flatMap((row) => (row.book?.band ? [row.book.band.totalBidValue, row.book.band.totalAskValue] : []));
    const largest = Math.max(0, ...values) || 1;
    const listed = new Set(state.data.map((row) => row.symbol));
    for (const [symbol, element] of this.rows) if (!listed.has(symbol)) (element.remove(), this.rows.delete(symbol));
    for (const row of state.data) this.row(row, state, largest, flash);
    const shown = this.filter(choice, starred);
    this.arrange(state, choice);
    return shown;
  }

  row(row, state, largest, flash) {
    const known = `${state.market} ${state.depth} ${row.book?.timestamp} ${row.volume24h} ${largest}`;
    const element = this.rows.get(row.symbol) ?? this.create(row);
    if (this.told.get(row.symbol) === known) return;
    this.told.set(row.symbol, known);
    const chart = element.querySelector("a");
    chart.href = this.addressOf(row.symbol);
    element.querySelector(".to-analysis").href = `/analysis/${new URL(chart.href).search}`;
    const found = cells(row, largest);
    for (const [key, cell] of Object.entries(found)) {
      if (!cell.text) continue;
      const holder = element.querySelector(`[data-cell=${key}]`);
      write(holder, cell.text, flash && FLASHED.has(key));
      holder.className = [cell.tone, cell.partial && key !== "percentage" && "partial"].filter(Boolean).join(" ");
      const bar = holder.querySelector("rect");
      bar?.setAttribute("width", cell.bar ?? 0);
      if (key === "percentage") bar.setAttribute("x", found.tone === "bid" ? 50 : 50 - (cell.bar ?? 0));
    }
    element.dataset.quality = found.quality;
    element.dataset.tone = found.tone;
    element.querySelector("[data-cell=percentage] span").dataset.tip = bandTip(row.book);
    const paths = trendPaths(row.trend);
    element.querySelector(".trend").dataset.tone = paths.tone;
    element.querySelector(".trend .line").setAttribute("d", paths.line);
    element.querySelector(".trend .dashed").setAttribute("d", paths.dashed);
  }

  create(row) {
    const element = document.createElement("tr");
    element.dataset.symbol = row.symbol;
    const bar = '<svg class="bar" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect x="0" height="1"/></svg><span></span>';
    element.innerHTML =
      '<td data-cell="star"><button type="button" class="star" aria-pressed="false">★</button></td><th scope="row" data-cell="symbol"><a><b></b></a>' +
      '<a class="to-analysis" data-tip="Candles, indicators, signals"><svg viewBox="0 0 14 14" width="14" height="14" aria-hidden="true"><path d="M4 1v12M10 1v12"/><rect x="2" y="4" width="4" height="6"/><rect x="8" y="3" width="4" height="5"/></svg></a></th>' +
      '<td data-cell="price"></td><td data-cell="change1h"></td><td data-cell="change24h"></td><td data-cell="spread"></td>' +
      `<td data-cell="bid">${bar}</td><td data-cell="ask">${bar}</td><td data-cell="diff"></td><td data-cell="percentage">${bar}</td>` +
      '<td data-cell="trend"><svg class="trend" viewBox="0 0 60 20" preserveAspectRatio="none" aria-hidden="true"><path class="zero" d="M0 10H60"/><path class="line"/><path class="dashed"/></svg></td>' +
      '<td data-cell="reach"></td><td data-cell="volume"></td><td data-cell="age"></td>';
    element.querySelector(".star").setAttribute("aria-label", `Star ${row.symbol}`);
    element.querySelector(".to-analysis").setAttribute("aria-label", `Analysis of ${row.symbol}`);
    const link = element.querySelector("a");
    link.firstChild.textContent = row.base;
    link.append(row.symbol.startsWith(row.base) ? row.symbol.slice(row.base.length) : row.symbol);
    this.rows.set(row.symbol, element);
    return element;
  }

  arrange(state, choice) {
    for (const head of this.table.tHead.querySelectorAll("[data-column]")) {
      if (head.dataset.column === choice.sort) head.setAttribute("aria-sort", choice.dir === "desc" ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    const wanted = ordered(state.data, choice).map((row) => this.rows.get(row.symbol));
    this.view.show(wanted.filter((element) => !element.hidden));
  }

  /** Hides what the filter leaves out; gives how many rows are shown. */
  filter(choice, starred) {
    let shown = 0;
    for (const [symbol, element] of this.rows) {
      const star = starred.has(symbol);
      const hidden = !symbol.includes(choice.q ?? "") || (Boolean(choice.starred) && !star);
      if (element.hidden !== hidden) element.hidden = hidden;
      const button = element.firstElementChild.firstElementChild;
      if (button.getAttribute("aria-pressed") !== String(star)) button.setAttribute("aria-pressed", star);
      shown += !hidden;
    }
    return shown;
  }

  /** Ages at a moment (epoch milliseconds); old rows are greyed. */
  ages(state, now) {
    for (const row of state.data) {
      const element = this.rows.get(row.symbol);
      const old = row.book ? now - row.book.timestamp : null;
      const text = old === null ? DASH : age(old);
      const cell = element.lastElementChild;
      if (cell.textContent !== text) cell.textContent = text;
      element.classList.toggle("old", old !== null && old > STALE);
    }
  }
}
