// How old the picture is and why: the pill, the notices over the chart, the causes of gaps.

import { age, clock, fixed, zoneName } from "./format.js";
import { Pill, showNotice, wordOf } from "./pill.js";
import { getJson } from "./poll.js";

const STALE = 150_000; // milliseconds; a book is read every minute
const OLD = 600_000;
const HEALTH_TURN = 6; // while stale, every sixth turn asks for the reason instead

export class Freshness extends Pill {
  constructor(urls, showPill) {
    super(showPill);
    this.urls = urls;
    this.direction = "";
    this.gaps = [];
    this.causes = {}; // of gaps, by market
    this.asked = {};
    this.turns = 0;
    this.socket = null; // what the live socket says of the book; null without one
  }

  get stale() {
    return Boolean(this.state?.book) && this.serverNow() - this.state.book.receivedAt > STALE;
  }

  /** A state has come: the server answers, its clock is known, the price has moved or not. */
  took(state) {
    const key = `${state.symbol} ${state.market}`;
    if (key !== this.key) [this.key, this.direction, this.mid, this.causes, this.asked] = [key, "", null, {}, {}];
    this.answered(state.now);
    this.show(state);
  }

  show(state) {
    this.state = state;
    if (!this.stale) this.reason = "";
    const mid = state.book ? state.book.bestBid + state.book.bestAsk : null;
    if (this.mid && mid && mid !== this.mid) this.direction = mid > this.mid ? "up" : "down";
    this.mid = mid;
    this.tick();
  }

  /** A live state has come: it says nothing of the server's clock, nor of what else the server answers. */
  tookLive(state) {
    this.show(state);
  }

  /** The live socket's status has changed; null: there is no socket. */
  connected(status) {
    this.socket = status;
    this.tick();
  }

  /** The book in view is live, whatever else fails. */
  get live() {
    return this.socket === "connected" && this.state?.book?.source === "stream";
  }

  /** In some turns of the poller another question is more useful: why the data are old, why minutes are missing. */
  async asksInstead() {
    this.turns += 1;
    const market = this.failure ? null : Object.keys(this.questions()).find((one) => this.asked[one] !== this.questions()[one]);
    if (market) {
      await this.askCauses(market);
      return true;
    }
    if (!this.stale || this.failure || this.turns % HEALTH_TURN) return false;
    const health = await getJson(this.urls.healthUrl).catch((error) => (error.status === 503 ? { components: {} } : Promise.reject(error)));
    const collector = health.components.collector?.status;
    this.reason = collector === "stopped" ? "Collection is switched off." : collector && collector !== "healthy" ? `The collector is ${collector}.` : "";
    this.tick();
    return true;
  }

  /** Causes are asked for once a market, and again when it has other gaps: what was asked by market. */
  questions() {
    return Object.fromEntries(this.gaps.map(({ market, from }) => [market, `${this.gaps.length} ${from}`]));
  }

  async askCauses(market) {
    const { key } = this;
    this.asked[market] = this.questions()[market];
    const query = new URLSearchParams({ symbol: this.state.symbol, marketType: market });
    const body = await getJson(`${this.urls.gapsUrl}?${query}`).catch(() => ({}));
    if (key !== this.key) return; // another symbol has been chosen meanwhile
    this.causes[market] = (body.stats?.gaps ?? []).map((gap) => ({ from: seconds(gap.from), to: seconds(gap.to), cause: gap.cause }));
  }

  /** Why nothing was collected of a market at a moment (epoch seconds). */
  causeAt(time, market) {
    return (this.causes[market] ?? []).find((gap) => gap.from <= time && time <= gap.to)?.cause ?? "";
  }

  tick() {
    document.body.classList.toggle("stale", !this.live && (this.stale || Boolean(this.failure)));
    if (this.failure && !this.live) return this.showDown();
    const book = this.state?.book;
    if (!book) return this.waiting();
    const old = this.serverNow() - book.receivedAt;
    const troubled = this.socket === "stale" || this.socket === "disconnected";
    const state = old > OLD ? "down" : old > STALE || troubled ? "stale" : "live";
    const source = this.live ? "synced" : troubled ? `live feed ${this.socket}` : book.source;
    const coverage = `reach −${reach(book.coverage.bidPercent)} +${reach(book.coverage.askPercent)}`;
    this.showPill({ state, word: state === "live" ? "LIVE" : "STALE", age: `${age(old)} ago`, more: `${source} · ${coverage}`, facts: this.facts() });
    showNotice(this.failure ? this.failed() : old > STALE ? `The newest book is ${age(old)} old. ${this.reason ?? ""}` : "", "careful", Boolean(this.failure));
  }

  waiting() {
    this.showPill({ state: "waiting", word: "WAITING", more: "no book yet", facts: this.facts() });
    showNotice("", "careful");
  }

  /** What the server does not answer, while the live socket goes on. */
  failed() {
    return `${wordOf(this.failure.error)} The book is live; the minutes are asked for again in ${age(this.retryIn)}.`;
  }

  facts() {
    const book = this.state?.book;
    if (!book) return [["Newest book", "none yet"]];
    const side = (name) => `${reach(book.coverage[`${name}Percent`])} · ${fixed(book.coverage[`${name}Levels`], 0)} levels`;
    return [
      ["Book read", `${clock(book.receivedAt, "exact")} ${zoneName()}`],
      ["Age", age(this.serverNow() - book.receivedAt)],
      ["Source", book.source === "stream" ? "live stream" : "read every minute"],
      ["Reach below best bid", side("bid")],
      ["Reach above best ask", side("ask")],
      ["Levels asked for", fixed(book.limit, 0)],
      ["Exchange's update", book.lastUpdateId],
    ];
  }
}

function reach(percent) {
  return percent === null ? "whole" : `${percent.toFixed(2)}%`;
}

/** Epoch seconds of a time given as seconds, milliseconds or ISO 8601. */
function seconds(time) {
  if (typeof time === "string") return Date.parse(time) / 1000;
  return time > 1e11 ? time / 1000 : time;
}
