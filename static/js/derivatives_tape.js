// The tape: newest trades on top, those that are missing named where they are missing.

import { clock, compact, fixed, zoneName } from "./format.js";

const ROWS = 100;
const AGAIN = 5000; // milliseconds between two readings of what a skipped message held
const WORDS = { connected: "live", connecting: "connecting", stale: "no news from the feed", disconnected: "the exchange is not connected", off: "not followed", null: "read every few seconds" };

const byId = (id) => document.getElementById(id);

function cell(text, className = "") {
  const made = document.createElement("td");
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

export class Tape {
  /** `reread()` asks the server for the stored trades, because some did not come over the socket. */
  constructor(reread) {
    this.reread = reread;
    this.trades = []; // newest first: {id, timestamp, price, quantity, side}
    this.paused = false;
    this.status = null;
    this.readAt = -Infinity;
    this.drawing = false;
  }

  /** A state of the server: `tape` {market, least, trades, holes, collected}; what came since over the socket stays. */
  reset(tape, state) {
    const other = this.market !== tape.market || this.least !== tape.least || this.symbol !== state.symbol;
    if (other) [this.trades, this.last] = [[], null];
    [this.market, this.least, this.symbol, this.holes, this.collected] = [tape.market, tape.least, state.symbol, tape.holes, tape.collected];
    [this.decimals, this.lotDecimals] = [state.decimals, state.lotDecimals];
    this.add(tape.trades.map(([id, timestamp, price, quantity, side]) => ({ id, timestamp, price, quantity, side })));
    this.draw();
  }

  /** A message of the socket. */
  hear(message) {
    if (message.symbol !== this.symbol || message.marketType !== this.market) return;
    const skipped = message.type === "trades" && this.last !== null && message.firstId !== null && message.firstId > this.last + 1;
    this.add(message.trades);
    if (message.lastId !== null) this.last = Math.max(this.last ?? 0, message.lastId);
    if (skipped && performance.now() - this.readAt > AGAIN) {
      this.readAt = performance.now();
      setTimeout(() => this.reread(), 1500); // by then they are stored
    }
    this.draw();
  }

  add(trades) {
    const known = new Map(this.trades.map((trade) => [trade.id, trade]));
    for (const trade of trades) known.set(trade.id, trade);
    this.trades = [...known.values()].sort((a, b) => b.id - a.id).slice(0, ROWS);
  }

  pause(paused) {
    this.paused = paused;
    byId("pause").setAttribute("aria-pressed", paused);
    byId("pause").textContent = paused ? "Go on" : "Pause";
    this.draw();
  }

  say(status) {
    this.status = status;
    this.tick(this.now ?? Date.now());
  }

  /** `now` is the server's, epoch milliseconds. */
  tick(now) {
    this.now = now;
    const newest = this.trades[0];
    const age = newest ? Math.max(0, Math.round((now - newest.timestamp) / 1000)) : null;
    const words = this.collected === false ? "trades of this market are not taken" : this.paused ? "held still" : WORDS[this.status];
    const told = byId("tape-status");
    const text = `${words}${age === null || this.collected === false ? "" : ` · newest ${age < 120 ? `${age} s` : `${Math.floor(age / 60)} min`} ago`} · ${zoneName()}`;
    if (told.textContent !== text) told.textContent = text;
    told.dataset.status = this.status ?? "none";
  }

  draw() {
    if (this.drawing) return;
    this.drawing = true;
    requestAnimationFrame(() => {
      this.drawing = false;
      if (!this.paused) this.fill();
    });
  }

  fill() {
    const rows = [];
    this.trades.forEach((trade, place) => {
      const newer = this.trades[place - 1];
      if (newer) rows.push(...this.between(trade.id, newer.id));
      rows.push(this.row(trade));
    });
    if (!rows.length) rows.push(this.blank());
    byId("tape").replaceChildren(...rows);
    this.tellHoles();
    this.tick(this.now ?? Date.now());
  }

  row({ id, timestamp, price, quantity, side }) {
    const made = document.createElement("tr");
    const value = price * quantity;
    made.dataset.id = id;
    made.dataset.side = side;
    if (value >= 100_000) made.className = "large";
    const tone = side === "buy" ? "bid" : "ask";
    made.append(cell(clock(timestamp)), cell(fixed(price, this.decimals), tone), cell(fixed(quantity, Math.min(this.lotDecimals, 6))), cell(compact(value)));
    made.title = `Trade ${id}: the taker ${side === "buy" ? "bought" : "sold"}, ${clock(timestamp, "exact")} ${zoneName()}`;
    return made;
  }

  /** What is missing between two rows: told by the server, or by their ids where every trade is shown. */
  between(older, newer) {
    const holes = (this.holes ?? []).filter(({ first, last }) => first > older && last < newer);
    const told = holes.reduce((sum, { missing }) => sum + missing, 0);
    const absent = this.least === 0 ? newer - older - 1 : told;
    if (!absent) return [];
    const made = document.createElement("tr");
    made.className = "hole";
    const lost = holes.length && holes.every((hole) => hole.lost);
    const text = `${fixed(absent, 0)} ${absent === 1 ? "trade is" : "trades are"} ${lost ? "lost" : told ? "to be fetched" : "not here"}`;
    made.append(Object.assign(cell(text), { colSpan: 4 }));
    return [made];
  }

  blank() {
    const made = document.createElement("tr");
    made.className = "blank";
    const text = this.collected === false ? "Trades of this market are not collected." : this.least ? "No trade of this size within the last hour." : "No trades within the last hour.";
    made.append(Object.assign(cell(text), { colSpan: 4 }));
    return made;
  }

  tellHoles() {
    const lost = (this.holes ?? []).filter((hole) => hole.lost).reduce((sum, { missing }) => sum + missing, 0);
    const due = (this.holes ?? []).filter((hole) => !hole.lost).reduce((sum, { missing }) => sum + missing, 0);
    const parts = [due && `${fixed(due, 0)} missing trades are being fetched`, lost && `${fixed(lost, 0)} are lost for good`].filter(Boolean);
    byId("tape-holes").hidden = !parts.length;
    byId("tape-holes").textContent = parts.length ? `Of the chosen range ${parts.join(", ")}.` : "";
  }
}
