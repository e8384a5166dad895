// The chart page: what is chosen (and its address), what the server gave, and how both are shown.

import { DepthChart } from "./chart.js";
import { clock, fixed, zoneName } from "./format.js";
import { announce, onKey, showPill } from "./frame.js";
import { download } from "./download.js";
import { Freshness } from "./freshness.js";
import { showLegend } from "./legend.js";
import { Liquidity } from "./liquidity.js";
import { DiffPanel, OrderBook } from "./panels.js";
import { getJson, Poller } from "./poll.js";
import { rememberSymbol } from "./preferences.js";

const NAMES = ["symbol", "market", "depth", "side", "range", "unit", "tab", "from", "to"];
const FETCHED = ["symbol", "market", "depth", "range"]; // a change of the others shows what is there already
const RANGES = ["1h", "6h", "24h", "7d", "30d", "60d"];

const workspace = document.getElementById("workspace");
const urls = workspace.dataset;
let state = JSON.parse(document.getElementById("state").textContent);
let choice = state.choice;
let liquidity = new Liquidity(state);
let request = null; // of the latest choice; an answer to an older one is dropped
let older = null;
let hovered = null;

const freshness = new Freshness(urls, showPill);
const book = new OrderBook(document.getElementById("panel-book"));
const diff = new DiffPanel(document.getElementById("panel-diff"), (depth) => addressOf({ ...choice, depth }));
const chart = new DepthChart(document.getElementById("chart"), { moved, older: loadOlder, hover, arranged: drawLegend });
const poller = new Poller(poll, (error, delay) => freshness.down(error, delay));

// --- addresses -----------------------------------------------------------------------------------------------------

function addressOf(wanted) {
  const query = new URLSearchParams(NAMES.filter((name) => wanted[name] != null).map((name) => [name, wanted[name]]));
  return `${urls.pageUrl}?${query}`;
}

function dataAddress(extra = {}) {
  const wanted = { ...choice, ...extra };
  const names = [...FETCHED, "from", "to", "after", "before"];
  return `${urls.dataUrl}?${new URLSearchParams(names.filter((name) => wanted[name] != null).map((name) => [name, wanted[name]]))}`;
}

function refreshLinks() {
  for (const link of document.querySelectorAll("a[data-set]")) {
    const [name, value] = link.dataset.set.split("=");
    link.href = addressOf({ ...choice, [name]: value });
    if (!link.closest("table")) {
      if (choice[name] === value) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }
  const to = Math.floor(freshness.serverNow() / 1000);
  const span = { from: choice.from ?? to - state.span, to: choice.to ?? to };
  const query = { dataset: "depth", format: "csv", symbol: choice.symbol, marketType: choice.market, depth: choice.depth, ...span };
  document.getElementById("export-csv").href = `${urls.exportUrl}?${new URLSearchParams(query)}`;
}

// --- choosing ------------------------------------------------------------------------------------------------------

/** Changes some of what is chosen: the address, then the picture in place. */
function choose(changes) {
  const next = { ...choice, ...changes };
  if (FETCHED.some((name) => name !== "depth" && changes[name] !== undefined)) next.from = next.to = null;
  if (NAMES.every((name) => next[name] === choice[name])) return;
  history.pushState(next, "", addressOf(next));
  take(next);
}

async function take(next) {
  const before = choice;
  choice = next;
  document.body.dataset.tab = choice.tab;
  refreshLinks();
  if (FETCHED.every((name) => before[name] === choice[name])) return redraw(before);
  request?.abort();
  older?.abort();
  older = null;
  request = new AbortController();
  workspace.dataset.busy = "";
  try {
    const fresh = await getJson(dataAddress(), request.signal);
    const moved = before.symbol !== choice.symbol || before.market !== choice.market;
    replace(fresh, moved || before.range !== choice.range);
  } catch (error) {
    if (error.name === "AbortError") return;
    if ([401, 404].includes(error.status)) return location.assign(addressOf(choice));
    freshness.down(error, 5000);
    poller.retry();
  }
  delete workspace.dataset.busy;
}

function redraw(before) {
  if (choice.from && (choice.from !== before.from || choice.to !== before.to)) chart.look(choice.from, choice.to);
  else if (!choice.from && before.from) chart.reset();
  drawChart();
  if (before.unit !== choice.unit) diff.show(state, choice, false);
}

/** A whole new state; `elsewhere` says that the picture in view has nothing to do with the last one. */
function replace(fresh, elsewhere) {
  state = fresh;
  liquidity = new Liquidity(state);
  if (elsewhere) chart.live = true;
  freshness.took(state);
  if (elsewhere) hovered = null;
  rememberSymbol(state.symbol);
  draw(false);
  refreshLinks();
  poller.postpone();
  announce(`${state.symbol} ${state.market}, ${state.depth}% band`);
}

// --- drawing -------------------------------------------------------------------------------------------------------

function draw(flash) {
  drawHeadline();
  drawChart();
  book.show(state, flash);
  diff.show(state, choice, flash);
}

function drawHeadline() {
  const { book: top, priceDecimals: decimals } = state;
  document.getElementById("symbol").textContent = state.symbol;
  document.getElementById("market").textContent = state.market;
  const [quote, base] = document.querySelectorAll("#units a");
  [quote.textContent, base.textContent] = [state.quote, state.base];
  const mid = top ? (top.bestBid + top.bestAsk) / 2 : null;
  const price = top ? fixed(mid, decimals) : "–";
  const spread = top ? top.bestAsk - top.bestBid : null;
  document.getElementById("mid").textContent = price;
  document.getElementById("spread").textContent = top ? `${fixed(spread, decimals)} (${((spread / mid) * 100).toFixed(4)}%)` : "–";
  const arrow = { up: "▲", down: "▼", "": "" }[freshness.direction];
  document.getElementById("direction").textContent = arrow;
  document.querySelector(".price").dataset.direction = freshness.direction;
  document.title = `${arrow}${arrow && " "}${price} ${state.symbol} ${state.market} · Trading Platform`;
}

function drawChart() {
  const end = freshness.serverNow() / 1000;
  chart.layout(choice.side);
  const gaps = liquidity.gaps(end).map((gap) => ({ ...gap, text: freshness.causeAt(gap.from + state.step) || "not collected" }));
  freshness.gaps = gaps;
  const first = liquidity.first;
  const since = first && first > liquidity.from + state.step ? { time: first, text: `kept since ${clock(first * 1000, "moment")} ${zoneName()}` } : null;
  // A minute that is still being read is no gap: the scale ends at the newest point then.
  const points = liquidity.points(choice.unit, gaps.at(-1)?.open ? end : (liquidity.last ?? end));
  chart.show(points, { gaps, since, step: state.step, span: state.span });
  document.getElementById("chart-empty").hidden = liquidity.last !== null;
  drawLegend();
}

function drawLegend() {
  showLegend({ chart, choice, state, point: hovered, liquidity, freshness });
}

function hover(point) {
  hovered = point;
  drawLegend();
}

function moved(range) {
  choice = { ...choice, from: range?.from ?? null, to: range?.to ?? null };
  clearTimeout(moved.timer);
  moved.timer = setTimeout(() => {
    history.replaceState(choice, "", addressOf(choice));
    refreshLinks();
  }, 250);
}

// --- asking --------------------------------------------------------------------------------------------------------

async function poll() {
  if (await freshness.asksInstead()) return drawChart();
  const asked = { ...choice };
  const after = liquidity.last ?? Math.floor(freshness.serverNow() / 1000) - state.span;
  const fresh = await getJson(dataAddress({ after, from: null, to: null }));
  if (FETCHED.some((name) => asked[name] !== choice[name]) || fresh.symbol !== state.symbol) return;
  const changed = liquidity.add({ ...fresh.series, from: liquidity.from });
  const newer = fresh.book?.receivedAt !== state.book?.receivedAt;
  state = { ...fresh, series: state.series };
  freshness.took(state);
  if (newer) draw(true);
  else if (changed || freshness.stale) drawChart();
}

async function loadOlder() {
  if (older || liquidity.from <= state.earliest) return;
  older = new AbortController();
  try {
    const fresh = await getJson(dataAddress({ before: liquidity.from, from: null, to: null }), older.signal);
    liquidity.add(fresh.series);
    drawChart();
    poller.postpone();
  } catch (error) {
    if (error.name !== "AbortError") freshness.down(error, 5000);
  } finally {
    older = null;
  }
}

// --- hands ---------------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-set]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const [name, value] = link.dataset.set.split("=");
  choose({ [name]: value });
});
document.addEventListener("symbol-chosen", (event) => {
  event.preventDefault();
  const { symbol, markets } = event.detail;
  const market = !markets.length || markets.includes(choice.market) ? choice.market : markets[0];
  choose({ symbol, market });
});
document.addEventListener("retry", () => poller.retry());
document.addEventListener("preference", drawLegend);
window.addEventListener("popstate", ({ state: kept }) => kept && take(kept));
document.getElementById("download-png").addEventListener("click", () => download({ chart, choice, state, freshness }));

function step(list, current, by) {
  return list[Math.max(0, Math.min(list.length - 1, list.indexOf(current) + by))];
}
RANGES.forEach((range, i) => onKey(String(i + 1), () => choose({ range })));
const bands = () => [...document.querySelectorAll("#bands a")].map((link) => link.dataset.set.split("=")[1]);
onKey("[", () => choose({ depth: step(bands(), choice.depth, -1) }));
onKey("]", () => choose({ depth: step(bands(), choice.depth, 1) }));
for (const [key, side] of Object.entries({ b: "bid", a: "ask", o: "both", d: "diff" })) onKey(key, () => choose({ side }));
onKey("m", () => choose({ market: choice.market === "SPOT" ? "FUTURES" : "SPOT" }));
onKey("u", () => choose({ unit: choice.unit === "quote" ? "base" : "quote" }));
onKey("r", () => chart.reset());
onKey("p", () => document.getElementById("download-png").click());
onKey("e", () => document.getElementById("export-csv").click());

// --- beginning -----------------------------------------------------------------------------------------------------

history.replaceState(choice, "", location.href);
rememberSymbol(state.symbol);
freshness.took(state);
draw(false);
if (choice.from) chart.look(choice.from, choice.to);
refreshLinks();
poller.start();
performance.mark("chart-drawn");
