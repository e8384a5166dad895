// How old the picture is and why: the pill, the notices over the chart, the causes of gaps.

import { age, clock, fixed, zoneName } from "./format.js";
import { getJson } from "./poll.js";

const STALE = 150_000; // milliseconds; a book is read every minute
const OLD = 600_000;
const HEALTH_TURN = 6; // while stale, every sixth turn asks for the reason instead

export class Freshness {
  constructor(urls, showPill) {
    this.urls = urls;
    this.showPill = showPill;
    this.direction = "";
    this.gaps = [];
    this.causes = {}; // of gaps, by market
    this.asked = {};
    this.turns = 0;
    this.failure = null;
    this.socket = null; // what the live socket says of the book; null without one
    setInterval(() => this.tick(), 1000);
    document.addEventListener("preference", () => this.tick());
    const retry = document.getElementById("notice");
    retry.addEventListener("click", (event) => event.target.closest("button") && document.dispatchEvent(new Event("retry")));
  }

  serverNow() {
    return this.clock ? this.clock.server + performance.now() - this.clock.local : Date.now();
  }

  get stale() {
    return Boolean(this.state?.book) && this.serverNow() - this.state.book.receivedAt > STALE;
  }

  /** A state has come: the server answers, its clock is known, the price has moved or not. */
  took(state) {
    const key = `${state.symbol} ${state.market}`;
    if (key !== this.key) [this.key, this.direction, this.mid, this.causes, this.asked] = [key, "", null, {}, {}];
    this.clock = { server: state.now, local: performance.now() };
    this.failure = null;
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

  down(error, delay) {
    this.failure = { error, retryAt: performance.now() + delay };
    this.tick();
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
    this.asked[market] = this.questions()[market];
    const query = new URLSearchParams({ symbol: this.state.symbol, marketType: market });
    const body = await getJson(`${this.urls.gapsUrl}?${query}`).catch(() => ({}));
    this.causes[market] = (body.stats?.gaps ?? []).map((gap) => ({ from: seconds(gap.from), to: seconds(gap.to), cause: gap.cause }));
  }

  /** Why nothing was collected of a market at a moment (epoch seconds). */
  causeAt(time, market) {
    return (this.causes[market] ?? []).find((gap) => gap.from <= time && time <= gap.to)?.cause ?? "";
  }

  tick() {
    document.body.classList.toggle("stale", !this.live && (this.stale || Boolean(this.failure)));
    if (this.failure && !this.live) return this.tickDown();
    const book = this.state?.book;
    if (!book) return this.waiting();
    const old = this.serverNow() - book.receivedAt;
    const troubled = this.socket === "stale" || this.socket === "disconnected";
    const state = old > OLD ? "down" : old > STALE || troubled ? "stale" : "live";
    const source = this.live ? "synced" : troubled ? `live feed ${this.socket}` : book.source;
    const coverage = `reach −${reach(book.coverage.bidPercent)} +${reach(book.coverage.askPercent)}`;
    this.showPill({ state, word: state === "live" ? "LIVE" : "STALE", age: `${age(old)} ago`, more: `${source} · ${coverage}`, facts: this.facts(book, old) });
    this.notice(this.failure ? this.failed() : old > STALE ? `The newest book is ${age(old)} old. ${this.reason ?? ""}` : "", "careful", Boolean(this.failure));
  }

  waiting() {
    this.showPill({ state: "waiting", word: "WAITING", more: "no book yet", facts: [["Newest book", "none yet"]] });
    this.notice("", "careful");
  }

  /** What the server does not answer, while the live socket goes on. */
  failed() {
    return `${this.wordOf(this.failure.error)} The book is live; the minutes are asked for again in ${age(this.retryIn)}.`;
  }

  get retryIn() {
    return Math.max(0, this.failure.retryAt - performance.now());
  }

  wordOf(error) {
    return error.status === 503 ? "The database does not answer." : error.status ? `The server answers with an error (${error.status}).` : "The server does not answer.";
  }

  tickDown() {
    const { error } = this.failure;
    const left = this.retryIn;
    const word = this.wordOf(error);
    this.showPill({ state: "down", word: "DOWN", age: `retry in ${age(left)}`, facts: [["Server", word], ...(this.state?.book ? this.facts(this.state.book, this.serverNow() - this.state.book.receivedAt) : [])] });
    const since = this.state ? ` What you see is of ${clock(this.state.now)} ${zoneName()}.` : "";
    this.notice(`${word}${since} Next try in ${age(left)}.`, "wrong", true);
  }

  facts(book, old) {
    const side = (name) => `${reach(book.coverage[`${name}Percent`])} · ${fixed(book.coverage[`${name}Levels`], 0)} levels`;
    return [
      ["Book read", `${clock(book.receivedAt, "exact")} ${zoneName()}`],
      ["Age", age(old)],
      ["Source", book.source === "stream" ? "live stream" : "read every minute"],
      ["Reach below best bid", side("bid")],
      ["Reach above best ask", side("ask")],
      ["Levels asked for", fixed(book.limit, 0)],
      ["Exchange's update", book.lastUpdateId],
    ];
  }

  notice(text, tone, retry = false) {
    const element = document.getElementById("notice");
    element.hidden = !text;
    if (!text) return;
    element.dataset.tone = tone;
    if (!element.firstChild) element.append(document.createElement("span"), document.createElement("button"));
    const [words, button] = element.children;
    words.textContent = text;
    button.type = "button";
    button.textContent = "Try now";
    button.hidden = !retry;
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
