// What is wrong and how old it is, in words: the pill's ground and the notice over a page's content.

import { age, clock, zoneName } from "./format.js";

/** What a failed request tells of the server. */
export function wordOf({ status }) {
  if (status === 503) return "The database does not answer.";
  return status ? `The server answers with an error (${status}).` : "The server does not answer.";
}

/** The notice; an empty text takes it away. `tone`: careful or wrong; with `retry` there is a button to try now. */
export function showNotice(text, tone, retry = tone === "wrong") {
  const notice = document.getElementById("notice");
  notice.hidden = !text;
  if (!text) return;
  notice.dataset.tone = tone;
  const [words, button] = notice.children;
  words.textContent = text;
  button.hidden = !retry;
}

/** Ticks once a second. Whoever extends it keeps the newest `state`, tells of it in `show()` and of its `facts()`. */
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

  /** A state has come: the server answers, and its clock is known. */
  took(state) {
    this.answered(state.now);
    this.state = state;
    this.tick();
  }

  answered(now) {
    this.clock = { server: now, local: performance.now() };
    this.failure = null;
  }

  down(error, delay) {
    this.failure = { error, retryAt: performance.now() + delay };
    this.tick();
  }

  get retryIn() {
    return Math.max(0, this.failure.retryAt - performance.now());
  }

  /** The server is away: since when the page stands still, and when it asks again. */
  showDown() {
    const [word, left] = [wordOf(this.failure.error), age(this.retryIn)];
    const since = this.state ? ` What you see is of ${clock(this.state.now)} ${zoneName()}.` : "";
    this.showPill({ state: "down", word: "DOWN", age: `retry in ${left}`, facts: [["Server", word], ...this.facts()] });
    showNotice(`${word}${since} Next try in ${left}.`, "wrong");
  }
}
