// The frame of every page: clock, preferences, search, help, tips, keys, and the pill where the page has none of its own.

import { age, clock, zoneName } from "./format.js";
import { getJson, Poller } from "./poll.js";
import { preference, prefer } from "./preferences.js";
import { SymbolSearch } from "./search.js";

const HEALTH_PERIOD = 3; // of the poller's periods
const keys = new Map();

/** Calls `action` when a key is pressed outside of fields; a later page's key wins over an earlier one. */
export function onKey(key, action) {
  keys.set(key, action);
}

export function announce(text) {
  document.getElementById("announce").textContent = text;
}

/** The live pill: `state` is live, stale, down or waiting; `facts` are [name, text] pairs of its details. */
export function showPill({ state, word, age: aged = "", more = "", facts = [] }) {
  const pill = document.getElementById("live-pill");
  if (pill.dataset.state !== state) announce(`${word} ${aged}`);
  pill.dataset.state = state;
  pill.querySelector(".pill-word").textContent = word;
  pill.querySelector(".pill-age").textContent = aged;
  pill.querySelector(".pill-more").textContent = more;
  const list = document.querySelector("#pill-details .facts");
  list.replaceChildren(
    ...facts.flatMap(([name, text]) => {
      const [term, fact] = [document.createElement("dt"), document.createElement("dd")];
      [term.textContent, fact.textContent] = [name, text];
      return [term, fact];
    }),
  );
}

function watchHealth(pill) {
  const url = pill.dataset.healthUrl;
  let turns = 0;
  const ask = async () => {
    turns += 1;
    if (turns % HEALTH_PERIOD !== 1) return;
    showHealth(await getJson(url).catch((error) => (error.status === 503 ? { status: "unhealthy", components: {} } : Promise.reject(error))));
  };
  const failed = (_, delay) => showPill({ state: "down", word: "DOWN", age: `retry in ${age(delay)}`, facts: [["Server", "does not answer"]] });
  const poller = new Poller(ask, failed);
  poller.plan(0);
}

function showHealth({ status, components }) {
  const collector = components.collector ?? {};
  const stopped = collector.status === "stopped";
  const state = status === "unhealthy" ? "down" : status === "healthy" && !stopped ? "live" : "stale";
  const lag = collector.lagSeconds == null ? "" : age(collector.lagSeconds * 1000);
  const facts = Object.entries(components).map(([name, part]) => [name, part.status]);
  showPill({ state, word: stopped ? "STOPPED" : status.toUpperCase(), age: lag, facts });
}

function keepClock() {
  const element = document.getElementById("clock");
  const tick = () => {
    const now = Date.now();
    element.textContent = `${clock(now)} ${zoneName()}`;
    element.dateTime = new Date(now).toISOString();
    setTimeout(tick, 1000 - (now % 1000));
  };
  tick();
  document.addEventListener("preference", () => (element.textContent = `${clock(Date.now())} ${zoneName()}`));
}

function keepPreferences() {
  const flip = () => prefer("theme", preference("theme") === "dark" ? "light" : "dark");
  document.getElementById("theme-switch").addEventListener("click", flip);
  onKey("t", flip);
  const panel = document.getElementById("preferences");
  panel.addEventListener("change", ({ target }) => prefer(target.name, target.value));
  document.addEventListener("preference", ({ detail }) => {
    const choice = panel.querySelector(`input[name=${detail.name}][value=${detail.value}]`);
    choice.checked = true;
  });
}

function keepHelp() {
  const help = document.getElementById("help");
  const open = () => {
    document.getElementById("preferences").hidePopover();
    if (!help.open) help.showModal();
  };
  document.getElementById("open-help").addEventListener("click", open);
  onKey("?", open);
}

/** Links to pages of a market take along the symbol and market in view: those of the address, else what this tab showed
 * last. */
function keepPlace() {
  const carry = () => {
    const here = new URLSearchParams(location.search);
    const kept = placeOf(here);
    const query = new URLSearchParams(Object.entries(kept).filter(([, value]) => value)).toString();
    for (const link of document.querySelectorAll("a[data-carry]")) link.href = query ? `${link.dataset.carry}?${query}` : link.dataset.carry;
  };
  carry();
  const touched = ({ target }) => target.closest?.("a[data-carry]") && carry();
  for (const event of ["pointerover", "focusin"]) document.addEventListener(event, touched);
}

function placeOf(here) {
  const [symbol, market] = [here.get("symbol"), here.get("market")];
  try {
    if (symbol) sessionStorage.setItem("place", JSON.stringify({ symbol, market }));
    const last = JSON.parse(sessionStorage.getItem("place") ?? "{}");
    return symbol || (market && market !== last.market) ? { symbol, market } : { symbol: last.symbol, market: market ?? last.market };
  } catch {
    return { symbol, market }; // storage is closed: the address is enough
  }
}

function keepTips() {
  const tip = document.getElementById("tip");
  const show = ({ target }) => {
    const owner = target.closest?.("[data-tip]");
    tip.hidden = !owner?.dataset.tip;
    if (tip.hidden) return;
    tip.textContent = owner.dataset.tip;
    const box = owner.getBoundingClientRect();
    const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
    const below = box.bottom + 6 + tip.offsetHeight < innerHeight;
    tip.style.left = `${left}px`;
    tip.style.top = `${below ? box.bottom + 6 : box.top - tip.offsetHeight - 6}px`;
  };
  for (const event of ["mouseover", "focusin"]) document.addEventListener(event, show);
  for (const event of ["focusout", "click"]) document.addEventListener(event, () => (tip.hidden = true));
  onKey("Escape", () => (tip.hidden = true));
}

function keepKeys() {
  document.addEventListener("keydown", (event) => {
    const field = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (field || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const action = keys.get(event.key.length === 1 ? event.key.toLowerCase() : event.key);
    if (!action) return;
    if (event.key !== "Escape") event.preventDefault();
    action(event);
  });
}

const search = new SymbolSearch(document.querySelector("form.search"));
onKey("/", () => search.focus());
keepClock();
keepPreferences();
keepHelp();
keepPlace();
keepTips();
keepKeys();
const pill = document.getElementById("live-pill");
if (pill.dataset.healthUrl) watchHealth(pill);
