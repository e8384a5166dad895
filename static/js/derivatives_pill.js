// How old the newest mark price is, and what is wrong: the pill and the notice over the chart.

import { age, clock, zoneName } from "./format.js";

const STALE = 30_000; // milliseconds; a mark price comes each second or three, and the page asks every five
const OLD = 120_000;
const OLD_INTEREST = 300_000;

export class Pill {
  constructor(showPill) {
    this.showPill = showPill;
    this.failure = null;
    this.state = null;
    setInterval(() => this.tick(), 1000);
    document.addEventListener("preference", () => this.tick());
    document.querySelector("#notice button").addEventListener("click", () => document.dispatchEvent(new Event("retry")));
  }

  serverNow() {
    return this.clock ? this.clock.server + performance.now() - this.clock.local : Date.now();
  }

  took(state) {
    this.clock = { server: state.now, local: performance.now() };
    if (state.newest) this.state = state;
    this.failure = null;
    this.tick();
  }

  down(error, delay) {
    this.failure = { error, retryAt: performance.now() + delay };
    this.tick();
  }

  tick() {
    if (!this.state) return;
    const { mark } = this.state.newest;
    const old = mark ? this.serverNow() - mark.at : null;
    document.body.classList.toggle("stale", Boolean(this.failure) || old === null || old > STALE);
    document.dispatchEvent(new CustomEvent("second", { detail: this.serverNow() }));
    if (this.failure) return this.tickDown();
    if (old === null) {
      this.showPill({ state: "waiting", word: "WAITING", more: "no mark price yet", facts: this.facts() });
      return this.notice("No mark price of this contract has come yet. It appears here by itself.", "careful");
    }
    const state = old > OLD ? "down" : old > STALE ? "stale" : "live";
    this.showPill({ state, word: state === "live" ? "LIVE" : "STALE", age: `${age(old)} ago`, more: "newest mark price", facts: this.facts() });
    this.notice(old > STALE ? `The newest mark price is ${age(old)} old.` : this.lateInterest(), "careful");
  }

  lateInterest() {
    const { interest } = this.state.newest;
    const old = interest ? this.serverNow() - interest.at : 0;
    return old > OLD_INTEREST ? `The newest open interest is ${age(old)} old.` : "";
  }

  tickDown() {
    const { error } = this.failure;
    const left = age(Math.max(0, this.failure.retryAt - performance.now()));
    const word = error.status === 503 ? "The database does not answer." : error.status ? `The server answers with an error (${error.status}).` : "The server does not answer.";
    this.showPill({ state: "down", word: "DOWN", age: `retry in ${left}`, facts: [["Server", word], ...this.facts()] });
    this.notice(`${word} What you see is of ${clock(this.state.now)} ${zoneName()}. Next try in ${left}.`, "wrong", true);
  }

  facts() {
    const { mark, interest } = this.state.newest;
    const exact = (at) => `${clock(at, "exact")} ${zoneName()}`;
    return [["Mark price", mark ? exact(mark.at) : "none yet"], ["Open interest", interest ? exact(interest.at) : "none yet"], ["Source", "the exchange's streams, open interest by request"]];
  }

  notice(text, tone, retry = false) {
    const element = document.getElementById("notice");
    element.hidden = !text;
    if (!text) return;
    element.dataset.tone = tone;
    const [words, button] = element.children;
    words.textContent = text;
    button.hidden = !retry;
  }
}
