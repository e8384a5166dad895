// The overview page: what is chosen (and its address), what the server gave, and how both are shown.

import { markChosen, onSet, queryOf } from "./choice.js";
import { favourites, toggleFavourite } from "./favourites.js";
import { age, clock, zoneName } from "./format.js";
import { announce, onKey, showPill } from "./frame.js";
import { OverviewTable } from "./overview_table.js";
import { showNotice, wordOf } from "./pill.js";
import { getJson, Poller } from "./poll.js";

const STALE = 150_000;
const OLD = 600_000;
const NAMES = ["market", "depth", "sort", "dir", "q", "starred"];
const FETCHED = ["market", "depth"];

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const board = document.getElementById("board"); // not there while nothing is collected on the market
const filter = document.getElementById("filter");
const sorter = document.getElementById("sorter");
let state = read("state");
let choice = read("choice");
let clockOf = { server: state.timestamp, local: performance.now() };
let failure = null;
let request = null; // of the latest choice; an answer to an older one is dropped
const table = board && new OverviewTable(document.getElementById("overview"), chartAddress);
const poller = new Poller(poll, (error, delay) => down(error, delay));

const serverNow = () => clockOf.server + performance.now() - clockOf.local;

function addressOf(wanted) {
  return `${location.pathname}?${queryOf(NAMES.filter((name) => wanted[name]), wanted)}`;
}

function chartAddress(symbol) {
  return `${board.dataset.chartsUrl}?${new URLSearchParams({ symbol, market: choice.market, depth: choice.depth })}`;
}

function dataAddress() {
  return `${board.dataset.overviewUrl}?${new URLSearchParams({ market: choice.market, depth: choice.depth })}`;
}

// --- choosing ------------------------------------------------------------------------------------------------------

/** Changes some of what is chosen: the address, then the picture in place. `silent`: no new step in the history. */
function choose(changes, silent = false) {
  const next = { ...choice, ...changes };
  if (NAMES.every((name) => (next[name] || "") === (choice[name] || ""))) return;
  history[silent ? "replaceState" : "pushState"](next, "", addressOf(next));
  take(next);
}

async function take(next) {
  const before = choice;
  if (before.market !== next.market && !board) return location.assign(addressOf(next));
  choice = next;
  refreshControls();
  if (FETCHED.every((name) => before[name] === choice[name])) return draw(false);
  request?.abort();
  request = new AbortController();
  board.dataset.busy = "";
  try {
    const fresh = await getJson(dataAddress(), request.signal);
    if (!fresh.count) return location.assign(addressOf(choice));
    took(fresh);
    draw(false);
    poller.postpone();
    announce(`${choice.market}, ${choice.depth}% band`);
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.status === 401) return location.assign(addressOf(choice));
    down(error, 5000);
    poller.retry();
  }
  delete board.dataset.busy;
}

function refreshControls() {
  markChosen(choice, addressOf);
  const starred = document.getElementById("starred");
  starred.setAttribute("aria-pressed", Boolean(choice.starred));
  starred.href = addressOf({ ...choice, starred: choice.starred ? "" : "1" });
  if (filter.value.trim().toUpperCase() !== (choice.q ?? "")) filter.value = choice.q ?? "";
  sorter.value = choice.sort;
  document.getElementById("turn").textContent = choice.dir === "desc" ? "▼" : "▲";
}

function sortBy(key) {
  const first = document.querySelector(`button[data-sort=${key}]`).dataset.first;
  choose({ sort: key, dir: choice.sort === key ? (choice.dir === "desc" ? "asc" : "desc") : first });
}

// --- drawing -------------------------------------------------------------------------------------------------------

function draw(flash) {
  document.getElementById("market").textContent = state.market; // what is in view, until there is an answer
  document.title = `${state.market} overview · Trading Platform`;
  const shown = table.show(state, choice, favourites(), flash);
  document.getElementById("shown").textContent = `${shown} of ${state.count}`;
  const nothing = document.getElementById("nothing");
  nothing.hidden = shown > 0;
  nothing.firstChild.textContent = choice.starred && !favourites().size ? "No symbol is starred yet: press the star before its name. " : "No symbol fits. ";
  tick();
}

/** Once a second: ages, the pill, what is wrong. */
function tick() {
  table.ages(state, serverNow());
  const read = state.data.map((row) => row.book?.timestamp).filter(Boolean);
  const newest = Math.max(0, ...read);
  const old = serverNow() - newest;
  const late = state.count - read.filter((moment) => serverNow() - moment <= STALE).length;
  const facts = [
    ["Newest book read", newest ? `${clock(newest, "exact")} ${zoneName()}` : "none yet"],
    ["Symbols", state.count],
    ["Not read for 150 s", late],
  ];
  document.body.classList.toggle("stale", Boolean(failure));
  if (failure) return tickDown(facts);
  if (!newest) {
    showNotice("");
    return showPill({ state: "waiting", word: "WAITING", more: "no book yet", facts });
  }
  const word = old > STALE ? "STALE" : "LIVE";
  showPill({ state: old > OLD ? "down" : old > STALE ? "stale" : "live", word, age: `${age(old)} ago`, more: late ? `${late} late` : "", facts });
  showNotice(old > STALE ? `The newest book is ${age(old)} old.` : "", "careful");
}

function tickDown(facts) {
  const left = age(Math.max(0, failure.retryAt - performance.now()));
  const words = wordOf(failure);
  showPill({ state: "down", word: "DOWN", age: `retry in ${left}`, facts: [["Server", words], ...facts] });
  showNotice(`${words} What you see is of ${clock(clockOf.server)} ${zoneName()}. Next try in ${left}.`, "wrong");
}

function down(error, delay) {
  failure = { status: error.status, retryAt: performance.now() + delay };
  tick();
}

// --- asking --------------------------------------------------------------------------------------------------------

function took(fresh) {
  // An answer that the browser kept (304) tells the time of its first arrival: the clock has moved on since.
  if (fresh.timestamp !== state.timestamp) clockOf = { server: fresh.timestamp, local: performance.now() };
  state = fresh;
  failure = null;
}

async function poll() {
  const asked = { ...choice };
  const fresh = await getJson(dataAddress());
  if (FETCHED.some((name) => asked[name] !== choice[name])) return;
  took(fresh);
  draw(true);
}

// --- hands ---------------------------------------------------------------------------------------------------------

function onClick(event) {
  const { target } = event;
  const plain = !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey;
  if (!board) return;
  const star = target.closest(".star");
  if (star) return starOf(star.closest("tr").dataset.symbol);
  const head = target.closest("button[data-sort]");
  if (head) return sortBy(head.dataset.sort);
  const row = target.closest("#overview tbody tr[data-symbol]");
  if (row && plain && !target.closest("a") && !getSelection().toString()) location.assign(chartAddress(row.dataset.symbol));
}

function starOf(symbol) {
  const starred = toggleFavourite(symbol);
  announce(starred === null ? "No room for another star" : `${symbol} ${starred ? "starred" : "no longer starred"}`);
  draw(false);
}

onSet((name, value) => choose({ [name]: value }));
document.addEventListener("click", onClick);
window.addEventListener("popstate", ({ state: kept }) => kept && take(kept));
onKey("m", () => choose({ market: choice.market === "SPOT" ? "FUTURES" : "SPOT" }));
history.replaceState(choice, "", location.href);
if (board) {
  const toggleStarred = () => choose({ starred: choice.starred ? "" : "1" });
  const bands = [...document.querySelectorAll("#bands a")].map((link) => link.dataset.set.split("=")[1]);
  const step = (by) => choose({ depth: bands[Math.max(0, Math.min(bands.length - 1, bands.indexOf(choice.depth) + by))] });
  filter.addEventListener("input", () => choose({ q: filter.value.trim().toUpperCase() }, true));
  filter.addEventListener("keydown", ({ key }) => key === "Escape" && (choose({ q: "" }, true), (filter.value = ""), filter.blur()));
  document.getElementById("starred").addEventListener("click", (event) => (event.preventDefault(), toggleStarred()));
  document.getElementById("clear").addEventListener("click", () => choose({ q: "", starred: "" }));
  document.getElementById("notice").querySelector("button").addEventListener("click", () => poller.retry());
  document.addEventListener("preference", tick);
  sorter.addEventListener("change", () => sortBy(sorter.value));
  document.getElementById("turn").addEventListener("click", () => sortBy(choice.sort));
  onKey("f", () => filter.focus());
  onKey("s", toggleStarred);
  onKey("[", () => step(-1));
  onKey("]", () => step(1));
  setInterval(tick, 1000);
  draw(false);
  poller.start();
} else {
  showPill({ state: "waiting", word: "WAITING", more: "nothing collected", facts: [["Symbols", 0]] });
}
performance.mark("overview-drawn");
