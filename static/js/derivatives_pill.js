// How old the newest mark price is, and what is wrong: the pill and the notice over the chart.

import { age, clock, zoneName } from "./format.js";
import { Pill, showNotice } from "./pill.js";

const STALE = 30_000; // milliseconds; a mark price comes each second or three, and the page asks every five
const OLD = 120_000;
const OLD_INTEREST = 300_000;

export class ContractPill extends Pill {
  /** Of an answer without the newest figures only the clock is taken: what is seen of them is as old as before. */
  took(state) {
    if (state.newest) return super.took(state);
    this.answered(state.now);
    this.tick();
  }

  tick() {
    if (!this.state) return;
    const { mark } = this.state.newest;
    const old = mark ? this.serverNow() - mark.at : null;
    document.body.classList.toggle("stale", Boolean(this.failure) || old === null || old > STALE);
    document.dispatchEvent(new CustomEvent("second", { detail: this.serverNow() }));
    if (this.failure) return this.showDown();
    if (old === null) {
      this.showPill({ state: "waiting", word: "WAITING", more: "no mark price yet", facts: this.facts() });
      return showNotice("No mark price of this contract has come yet. It appears here by itself.", "careful");
    }
    const state = old > OLD ? "down" : old > STALE ? "stale" : "live";
    this.showPill({ state, word: state === "live" ? "LIVE" : "STALE", age: `${age(old)} ago`, more: "newest mark price", facts: this.facts() });
    showNotice(old > STALE ? `The newest mark price is ${age(old)} old.` : this.lateInterest(), "careful");
  }

  lateInterest() {
    const { interest } = this.state.newest;
    const old = interest ? this.serverNow() - interest.at : 0;
    return old > OLD_INTEREST ? `The newest open interest is ${age(old)} old.` : "";
  }

  facts() {
    const { mark, interest } = this.state.newest;
    const exact = (at) => `${clock(at, "exact")} ${zoneName()}`;
    return [["Mark price", mark ? exact(mark.at) : "none yet"], ["Open interest", interest ? exact(interest.at) : "none yet"], ["Source", "the exchange's streams, open interest by request"]];
  }
}
