// All contracts side by side: sorted, filtered, each figure with its age and how true it is.

import { age, clock, compact, fixed, percent, zoneName } from "./format.js";
import { RowsInView } from "./rows_in_view.js";

const DASH = "–";
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const SAMPLE = "The exchange tells at most the largest liquidation of a symbol and second: at least this much.";

/** key: title, tip, first direction, figure. */
export const COLUMNS = [
  ["symbol", "Contract", "", "asc", (row) => row.symbol],
  ["price", "Mark price", "", "desc", (row) => row.price],
  ["interest", "Open interest", "In the quote asset, by the mark price of its minute", "desc", (row) => row.interest],
  ["change1h", "OI 1 h %", "Change of the open interest in the base asset over an hour", "desc", (row) => row.change1h],
  ["change24h", "OI 24 h %", "Change of the open interest in the base asset over a day", "desc", (row) => row.change24h],
  ["funding", "Funding %", "The rate that the next payment heads for", "desc", (row) => row.funding],
  ["next", "Paid in", "Until the next funding", "asc", (row) => row.next],
  ["basis", "Basis %", "Mark price against its index", "desc", (row) => row.basis],
  ["longs", "Longs liq. 1 h", SAMPLE, "desc", (row) => row.longs],
  ["shorts", "Shorts liq. 1 h", SAMPLE, "desc", (row) => row.shorts],
  ["age", "Age", "Of the mark price; of the open interest in the tip", "asc", (row) => (row.markAt === null ? null : -row.markAt)],
];

/** Rows as chosen; those without the figure last, whichever the direction. */
export function ordered(rows, { sort, dir }) {
  const figure = COLUMNS.find(([key]) => key === sort)[4];
  const sign = dir === "desc" ? -1 : 1;
  const compare = (a, b) => (a < b ? -sign : a > b ? sign : 0);
  const known = rows.filter((row) => figure(row) !== null);
  return [...known.toSorted((a, b) => compare(figure(a), figure(b)) || compare(b.symbol, a.symbol)), ...rows.filter((row) => figure(row) === null)];
}

const tone = (value) => (!value ? "" : value > 0 ? "bid" : "ask");
const signed = (value, decimals) => (value === null ? { text: DASH } : { text: percent(value, decimals), tone: tone(value) });

function cells(row, now) {
  const liquidated = (value) => ({ text: value || row.liquidations || row.heard ? `${value ? "≥ " : ""}${compact(value)}` : DASH, tip: row.heard < 60 ? `${SAMPLE} Only ${row.heard} of the last 60 minutes were heard.` : SAMPLE, partial: row.heard < 60 });
  const old = row.markAt === null ? null : now - row.markAt;
  return {
    price: { text: row.price === null ? DASH : fixed(row.price, row.decimals) },
    interest: { text: row.interest === null ? (row.interestBase === null ? DASH : "no price") : compact(row.interest), tip: row.interestAt === null ? "No open interest of the last day is kept." : `${compact(row.interestBase)} ${row.base} at ${clock(row.interestAt, "exact")} ${zoneName()}` },
    change1h: signed(row.change1h, 2),
    change24h: signed(row.change24h, 2),
    funding: signed(row.funding, 4),
    next: { text: row.next === null ? DASH : row.next <= now ? "due" : countdown(row.next - now), tip: row.next === null ? "" : `${clock(row.next, "exact")} ${zoneName()}` },
    basis: signed(row.basis, 3),
    longs: { ...liquidated(row.longs), tone: row.longs ? "ask" : "" },
    shorts: { ...liquidated(row.shorts), tone: row.shorts ? "bid" : "" },
    age: { text: old === null ? DASH : age(old), tip: `Mark price ${old === null ? "not known" : `${age(old)} old`}, open interest ${row.interestAt === null ? "not known" : `${age(now - row.interestAt)} old`}` },
  };
}

function countdown(milliseconds) {
  const minutes = Math.ceil(milliseconds / 60_000);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")} h`;
}

export class ContractsTable {
  /** `addressOf(changes)` gives the page's address with some of its choice changed. */
  constructor(table, addressOf) {
    this.table = table;
    this.addressOf = addressOf;
    this.rows = new Map();
    this.view = new RowsInView(table.closest(".scroll"), table.tBodies[0]);
    this.data = [];
    this.makeHead();
  }

  makeHead() {
    const heads = COLUMNS.map(([key, title, tip, first]) => {
      const head = document.createElement("th");
      [head.scope, head.dataset.column] = ["col", key];
      const button = Object.assign(document.createElement("button"), { type: "button", textContent: title });
      [button.dataset.sort, button.dataset.first] = [key, first];
      if (tip) button.dataset.tip = tip;
      head.append(button);
      return head;
    });
    this.table.tHead.rows[0].replaceChildren(...heads);
    document.getElementById("sorter").replaceChildren(...COLUMNS.map(([key, title]) => new Option(title, key)));
  }

  /** `flash`: changed figures light up. `now`: the server's, epoch milliseconds. */
  show(data, choice, now, flash = false) {
    this.data = data;
    const listed = new Set(data.map(({ symbol }) => symbol));
    for (const [symbol, element] of this.rows) if (!listed.has(symbol)) (element.remove(), this.rows.delete(symbol));
    for (const row of data) this.fill(row, choice, now, flash);
    return this.arrange(choice);
  }

  fill(row, choice, now, flash) {
    const element = this.rows.get(row.symbol) ?? this.create(row);
    for (const [key, { text, tone: hue = "", tip, partial }] of Object.entries(cells(row, now))) {
      const cell = element.querySelector(`[data-cell=${key}]`);
      if (cell.textContent !== text) {
        cell.textContent = text;
        if (flash && !calm.matches && cell.isConnected && key !== "age" && key !== "next") cell.animate([{ backgroundColor: "var(--accent-soft)" }, { backgroundColor: "transparent" }], 300);
      }
      cell.className = [hue, partial && "partial"].filter(Boolean).join(" ");
      if (tip) cell.dataset.tip = tip;
      else delete cell.dataset.tip;
    }
    element.querySelector("a").href = this.addressOf({ symbol: row.symbol, from: null, to: null });
    element.classList.toggle("old", row.stale);
    if (row.symbol === choice.symbol) element.setAttribute("aria-current", "true");
    else element.removeAttribute("aria-current");
  }

  create(row) {
    const element = document.createElement("tr");
    element.dataset.symbol = row.symbol;
    const head = document.createElement("th");
    [head.scope, head.dataset.cell] = ["row", "symbol"];
    const link = document.createElement("a");
    link.dataset.set = `symbol=${row.symbol}`;
    link.append(Object.assign(document.createElement("b"), { textContent: row.base }), row.symbol.startsWith(row.base) ? row.symbol.slice(row.base.length) : row.symbol);
    head.append(link);
    const rest = COLUMNS.slice(1).map(([key, title]) => {
      const cell = document.createElement("td");
      [cell.dataset.cell, cell.dataset.name] = [key, title];
      return cell;
    });
    element.append(head, ...rest);
    this.rows.set(row.symbol, element);
    return element;
  }

  /** Sorts and filters; gives how many are shown. */
  arrange(choice) {
    for (const head of this.table.tHead.querySelectorAll("[data-column]")) {
      if (head.dataset.column === choice.sort) head.setAttribute("aria-sort", choice.dir === "desc" ? "descending" : "ascending");
      else head.removeAttribute("aria-sort");
    }
    document.getElementById("sorter").value = choice.sort;
    const found = ordered(this.data, choice).filter(({ symbol }) => symbol.includes(choice.q ?? ""));
    this.view.show(found.map(({ symbol }) => this.rows.get(symbol)));
    return found.length;
  }
}
