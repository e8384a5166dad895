// How old the newest price is, and what is wrong: the pill and the notice over the chart.

import { age, clock, zoneName } from "./format.js";
import { Pill, showNotice } from "./pill.js";

const STALE = 150_000; // milliseconds; a candle is stored every minute
const OLD = 600_000;
const SILENT = 45_000; // where prices come by themselves, more often than this

export class PricePill extends Pill {
  streams = false; // prices come by themselves

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

  tick() {
    if (!this.state) return;
    const { old } = this;
    document.body.classList.toggle("stale", Boolean(this.failure) || old > this.limit);
    if (this.failure) return this.showDown();
    if (old === null) {
      this.showPill({ state: "waiting", word: "WAITING", more: "no candle yet", facts: this.facts() });
      return showNotice(this.state.refused ? `Left out: ${this.state.refused}.` : "", "careful");
    }
    const state = old > OLD ? "down" : old > this.limit ? "stale" : "live";
    this.showPill({ state, word: state === "live" ? "LIVE" : "STALE", age: `${age(old)} ago`, more: "newest price", facts: this.facts() });
    const stale = old > this.limit ? `The newest price is ${age(old)} old. ${this.state.progress?.error ?? ""}` : "";
    showNotice(stale || (this.state.refused ? `Left out: ${this.state.refused}.` : ""), "careful");
  }

  facts() {
    const { heardAt, progress } = this.state;
    const way = this.streams ? "as they come" : "asked for every few seconds";
    const facts = [["Prices", way], ["Newest price", heardAt ? `${clock(heardAt, "exact")} ${zoneName()}` : "none yet"]];
    if (!progress) return [...facts, ["History", "not begun"]];
    if (progress.first) facts.push(["Oldest candle", `${clock(progress.first * 1000, "exact")} ${zoneName()}`]);
    return [...facts, ["History collected", `${progress.percent.toFixed(1)}%`], ...(progress.error ? [["Last error", progress.error]] : [])];
  }
}
