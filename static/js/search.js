// The symbol search of the header: opens on `/`, the last five on top, typing filters, Enter chooses.

import { getJson } from "./poll.js";
import { recentSymbols, rememberSymbol } from "./preferences.js";

const PAUSE = 120;
const SHOWN = 60;

export class SymbolSearch {
  constructor(form) {
    this.form = form;
    this.input = form.querySelector("input");
    this.list = form.querySelector("[role=listbox]");
    this.options = [];
    this.selected = -1;
    this.input.addEventListener("focus", () => this.open());
    this.input.addEventListener("input", () => this.open());
    this.input.addEventListener("blur", () => this.close());
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.list.addEventListener("mousedown", (event) => this.pick(event));
    form.addEventListener("submit", (event) => this.submit(event));
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  open() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), this.entries ? PAUSE : 0);
  }

  /** Filters by the server, so that the whole registry is found, not only what is collected. */
  async load() {
    const text = this.input.value.trim().toUpperCase();
    this.request?.abort();
    this.request = new AbortController();
    const query = new URLSearchParams(text ? { search: text } : { collected: "true" });
    try {
      const body = await getJson(`${this.form.dataset.searchUrl}?${query}`, this.request.signal);
      this.entries = body.symbols;
      if (document.activeElement === this.input) this.show(text);
    } catch (error) {
      if (error.name !== "AbortError") this.note("The search does not answer. Enter opens what is typed.");
    }
  }

  show(text) {
    const names = new Map(this.entries.map((entry) => [entry.symbol, entry]));
    const recent = text ? [] : recentSymbols().filter((name) => names.has(name)).map((name) => names.get(name));
    const rank = (entry) => (entry.symbol === text || entry.base === text ? 0 : entry.symbol.startsWith(text) ? 1 : 2) - (entry.collected ? 0.5 : 0);
    const rest = this.entries.filter((entry) => !recent.includes(entry));
    if (text) rest.sort((a, b) => rank(a) - rank(b));
    this.list.replaceChildren();
    this.options = [];
    if (recent.length) this.group("Last opened", recent);
    if (rest.length) this.group(text ? "Found" : "Collected", rest.slice(0, SHOWN));
    if (!this.options.length) return this.note(text ? `No symbol holds “${text}”.` : "Nothing is collected yet.");
    this.reveal();
    this.select(0);
  }

  group(title, entries) {
    const heading = document.createElement("div");
    heading.className = "group";
    heading.setAttribute("role", "presentation");
    heading.textContent = title;
    this.list.append(heading, ...entries.map((entry) => this.option(entry)));
  }

  option(entry) {
    const option = document.createElement("div");
    option.className = "option";
    option.id = `search-option-${this.options.length}`;
    option.setAttribute("role", "option");
    option.setAttribute("aria-selected", "false");
    option.dataset.symbol = entry.symbol;
    option.dataset.markets = entry.markets.join(" ");
    const facts = document.createElement("small");
    facts.textContent = entry.collected ? entry.markets.join(" · ") : "not collected";
    option.append(entry.symbol, facts);
    this.options.push(option);
    return option;
  }

  note(text) {
    const note = document.createElement("div");
    note.className = "note";
    note.textContent = text;
    this.options = [];
    this.list.replaceChildren(note);
    this.reveal();
  }

  reveal() {
    this.list.hidden = false;
    this.input.setAttribute("aria-expanded", "true");
  }

  close() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
  }

  select(index) {
    this.options[this.selected]?.setAttribute("aria-selected", "false");
    this.selected = Math.max(0, Math.min(index, this.options.length - 1));
    const option = this.options[this.selected];
    option.setAttribute("aria-selected", "true");
    option.scrollIntoView({ block: "nearest" });
    this.input.setAttribute("aria-activedescendant", option.id);
  }

  key(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in steps && this.options.length) {
      event.preventDefault();
      this.select(this.selected + steps[event.key]);
    } else if (event.key === "Escape") {
      event.stopPropagation();
      this.input.value = "";
      this.input.blur();
    }
  }

  pick(event) {
    const option = event.target.closest("[role=option]");
    event.preventDefault();
    if (option) this.choose(option.dataset.symbol, option.dataset.markets.split(" "));
  }

  submit(event) {
    event.preventDefault();
    const typed = this.input.value.trim().toUpperCase();
    const option = this.list.hidden ? null : this.options[this.selected];
    const current = option && (!typed || option.dataset.symbol.includes(typed) || typed.length < 3) ? option : null;
    if (current) this.choose(current.dataset.symbol, current.dataset.markets.split(" "));
    else if (typed) this.choose(typed, []);
  }

  /** Pages that can show a symbol in place cancel the event; elsewhere the chart page opens. */
  choose(symbol, markets) {
    rememberSymbol(symbol);
    this.input.value = "";
    this.input.blur();
    const event = new CustomEvent("symbol-chosen", { detail: { symbol, markets }, cancelable: true });
    if (document.dispatchEvent(event)) location.assign(`${this.form.action}?${new URLSearchParams({ symbol })}`);
  }
}
