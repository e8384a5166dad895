// How old the newest price is, and what is wrong: the pill and the notice over the chart.

import { age, clock, zoneName } from "./format.js";

const STALE = 150_000; // milliseconds; a candle is stored every minute
const OLD = 600_000;
const SILENT = 45_000; // where prices come by themselves, more often than this

export class Pill {
  constructor(showPill) {
    this.showPill = showPill;
    this.failure = null;
    this.state = null;
    this.streams = false; // prices come by themselves
    setInterval(() => this.tick(), 1000);
    document.addEventListener("preference", () => this.tick());
    document.getElementById("notice").addEventListener("click", (event) => event.target.closest("button") && document.dispatchEvent(new Event("retry")));
  }

  serverNow() {
    return this.clock ? this.clock.server + performance.now() - this.clock.local : Date.now();
  }

  /** Milliseconds since the newest price; null before the first. */
  get old() {
    return this.state?.heardAt ? this.serverNow() - this.state.heardAt : null;
  }

  get limit() {
    return this.streams ? SILENT : STALE;
  }

  /** A price came by itself, that the server has heard of at this moment (ms). */
  heard(at) {
    if (at === null || !this.state || at < this.state.heardAt) return;
    this.streams = this.state.heardAt !== null && at - this.state.heardAt < SILENT / 2;
    this.state = { ...this.state, heardAt: at };
    this.tick();
  }

  took(state) {
    this.clock = { server: state.now, local: performance.now() };
    this.state = state;
    this.failure = null;
    this.tick();
  }

  down(error, delay) {
    this.failure = { error, retryAt: performance.now() + delay };
    this.tick();
  }

  tick() {
    if (!this.state) return;
    const { old } = this;
    document.body.classList.toggle("stale", Boolean(this.failure) || old > this.limit);
    if (this.failure) return this.tickDown();
    if (old === null) {
      this.showPill({ state: "waiting", word: "WAITING", more: "no candle yet", facts: this.facts() });
      return this.notice(this.state.refused ? `Left out: ${this.state.refused}.` : "", "careful");
    }
    const state = old > OLD ? "down" : old > this.limit ? "stale" : "live";
    this.showPill({ state, word: state === "live" ? "LIVE" : "STALE", age: `${age(old)} ago`, more: "newest price", facts: this.facts() });
    const stale = old > this.limit ? `The newest price is ${age(old)} old. ${this.state.progress?.error ?? ""}` : "";
    this.notice(stale || (this.state.refused ? `Left out: ${this.state.refused}.` : ""), "careful");
  }

  tickDown() {
    const { error } = this.failure;
    const left = age(Math.max(0, this.failure.retryAt - performance.now()));
    const word = error.status === 503 ? "The database does not answer." : error.status ? `The server answers with an error (${error.status}).` : "The server does not answer.";
    this.showPill({ state: "down", word: "DOWN", age: `retry in ${left}`, facts: [["Server", word], ...this.facts()] });
    this.notice(`${word} What you see is of ${clock(this.state.now)} ${zoneName()}. Next try in ${left}.`, "wrong", true);
  }

  facts() {
    const { heardAt, progress } = this.state;
    const way = this.streams ? "as they come" : "asked for every few seconds";
    const facts = [["Prices", way], ["Newest price", heardAt ? `${clock(heardAt, "exact")} ${zoneName()}` : "none yet"]];
    if (!progress) return [...facts, ["History", "not begun"]];
    if (progress.first) facts.push(["Oldest candle", `${clock(progress.first * 1000, "exact")} ${zoneName()}`]);
    return [...facts, ["History collected", `${progress.percent.toFixed(1)}%`], ...(progress.error ? [["Last error", progress.error]] : [])];
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
