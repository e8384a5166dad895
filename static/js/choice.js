// What a page shows stands in its address: links that set a part of it, and what the hand moves, written there at rest.

import { getJson } from "./poll.js";

const REST = 250; // milliseconds
const AGAIN = 5000; // milliseconds after which a page that was refused says that it tries again
const GONE = [401, 404]; // the page itself tells of these

/** Those of `names` that are chosen; an empty text is a choice, too. */
export function queryOf(names, wanted) {
  return new URLSearchParams(names.filter((name) => wanted[name] != null).map((name) => [name, wanted[name]]));
}

/** Calls `set(name, value)` for plain clicks on links that set a part of the choice (`data-set="name=value"`). */
export function onSet(set) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-set]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const [name, value] = link.dataset.set.split("=");
    set(name, value);
  });
}

/** Gives these links their addresses, and marks those of what is chosen. */
export function markChosen(choice, addressOf, links = "a[data-set]") {
  for (const link of document.querySelectorAll(links)) {
    const [name, value] = link.dataset.set.split("=");
    link.href = addressOf({ ...choice, [name]: value });
    if (choice[name] === value) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

/** The market to show of a symbol that was searched for: the chosen one, or the only one that has it. */
export function marketOf({ markets }, choice) {
  return !markets.length || markets.includes(choice.market) ? choice.market : markets[0];
}

/** The choice with the stretch that the hand has moved to; null: the whole range. */
export function withRange(choice, range) {
  return { ...choice, from: range?.from ?? null, to: range?.to ?? null };
}

/** A function that calls `write` once it has not been called for a moment. */
export function atRest(write) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(write, REST);
  };
}

/** Asks for the whole state of what is chosen. An answer to an older choice is dropped; what was chosen while the server
 * did not answer is asked for whole later, as parts of it would not fit to the picture that is there. */
export class WholeState {
  /** `workspace` is marked busy meanwhile; `address()` of what is chosen now, `page()` of the page that shows it;
   * `took(state, elsewhere)` hears of answers, `failed(error, milliseconds until the next try)` of failures. */
  constructor({ workspace, address, page, took, failed }) {
    Object.assign(this, { workspace, address, page, took, failed });
    this.request = null;
    this.due = null; // {elsewhere} while the picture is not of what is chosen
  }

  get behind() {
    return this.due !== null;
  }

  /** Ends with the next choice. */
  get signal() {
    return (this.request ??= new AbortController()).signal;
  }

  /** `elsewhere`: the picture in view has nothing to do with what is chosen now. */
  async ask(elsewhere) {
    this.request?.abort();
    this.request = new AbortController();
    this.due = { elsewhere: elsewhere || Boolean(this.due?.elsewhere) };
    this.workspace.dataset.busy = "";
    try {
      this.settle(await getJson(this.address(), this.signal));
    } catch (error) {
      if (error.name === "AbortError") return;
      delete this.workspace.dataset.busy;
      this.left(error) || this.failed(error, AGAIN);
    }
  }

  /** In place of a poll, while the picture is behind. */
  async catchUp() {
    if (this.workspace.dataset.busy !== undefined) return; // it is under way
    const { request } = this;
    const state = await getJson(this.address()).catch((error) => {
      if (request !== this.request || !this.left(error)) throw error;
    });
    if (state && request === this.request) this.settle(state);
  }

  /** Asks again for what is chosen, all of it. */
  renew() {
    this.due ??= { elsewhere: false };
    return this.catchUp();
  }

  /** Whether the page is left for the one that tells why there is nothing. */
  left({ status }) {
    const gone = GONE.includes(status);
    if (gone) location.assign(this.page());
    return gone;
  }

  settle(state) {
    const { elsewhere } = this.due;
    this.due = null;
    delete this.workspace.dataset.busy;
    this.took(state, elsewhere);
  }
}
