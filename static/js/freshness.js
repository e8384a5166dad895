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
    this.causes = [];
    this.turns = 0;
    this.failure = null;
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
    if (key !== this.key) [this.key, this.direction, this.mid, this.causes, this.causesOf] = [key, "", null, [], ""];
    this.clock = { server: state.now, local: performance.now() };
    this.state = state;
    this.failure = null;
    if (!this.stale) this.reason = "";
    const mid = state.book ? state.book.bestBid + state.book.bestAsk : null;
    if (this.mid && mid && mid !== this.mid) this.direction = mid > this.mid ? "up" : "down";
    this.mid = mid;
    this.tick();
  }

  down(error, delay) {
    this.failure = { error, retryAt: performance.now() + delay };
    this.tick();
  }

  /** In some turns of the poller another question is more useful: why the data are old, why minutes are missing. */
  async asksInstead() {
    this.turns += 1;
    if (this.gaps.length && this.causesOf !== this.question() && !this.failure) {
      await this.askCauses();
      return true;
    }
    if (!this.stale || this.failure || this.turns % HEALTH_TURN) return false;
    const health = await getJson(this.urls.healthUrl).catch((error) => (error.status === 503 ? { components: {} } : Promise.reject(error)));
    const collector = health.components.collector?.status;
    this.reason = collector === "stopped" ? "Collection is switched off." : collector && collector !== "healthy" ? `The collector is ${collector}.` : "";
    this.tick();
    return true;
  }

  /** Causes are asked for once, and again when there are other gaps. */
  question() {
    return `${this.key} ${this.gaps.length} ${this.gaps[0].from}`;
  }

  async askCauses() {
    this.causesOf = this.question();
    const query = new URLSearchParams({ symbol: this.state.symbol, marketType: this.state.market });
    const body = await getJson(`${this.urls.gapsUrl}?${query}`).catch(() => ({}));
    this.causes = (body.stats?.gaps ?? []).map((gap) => ({ from: seconds(gap.from), to: seconds(gap.to), cause: gap.cause }));
  }

  /** Why nothing was collected at a moment (epoch seconds). */
  causeAt(time) {
    return this.causes.find((gap) => gap.from <= time && time <= gap.to)?.cause ?? "";
  }

  tick() {
    document.body.classList.toggle("stale", this.stale || Boolean(this.failure));
    if (this.failure) return this.tickDown();
    const book = this.state?.book;
    if (!book) return this.waiting();
    const old = this.serverNow() - book.receivedAt;
    const state = old > OLD ? "down" : old > STALE ? "stale" : "live";
    const coverage = `reach −${reach(book.coverage.bidPercent)} +${reach(book.coverage.askPercent)}`;
    this.showPill({ state, word: state === "live" ? "LIVE" : "STALE", age: `${age(old)} ago`, more: `${book.source} · ${coverage}`, facts: this.facts(book, old) });
    this.notice(state === "live" ? "" : `The newest book is ${age(old)} old. ${this.reason ?? ""}`, "careful");
  }

  waiting() {
    this.showPill({ state: "waiting", word: "WAITING", more: "no book yet", facts: [["Newest book", "none yet"]] });
    this.notice("", "careful");
  }

  tickDown() {
    const { error, retryAt } = this.failure;
    const left = Math.max(0, retryAt - performance.now());
    const word = error.status === 503 ? "The database does not answer." : error.status ? `The server answers with an error (${error.status}).` : "The server does not answer.";
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
