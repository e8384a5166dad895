// The chart page: what is chosen (and its address), what the server gave, and how both are shown.

import { DepthChart } from "./chart.js";
import { download } from "./chart_picture.js";
import { WholeState, atRest, marketOf, onSet, queryOf, withRange } from "./choice.js";
import { basisPoints, clock, fixed, zoneName } from "./format.js";
import { announce, onKey, showPill } from "./frame.js";
import { Freshness } from "./freshness.js";
import { showLegend } from "./legend.js";
import { Liquidity } from "./liquidity.js";
import { Live, withBook, withLivePoint, withNewer } from "./live.js";
import { DiffPanel, OrderBook } from "./panels.js";
import { getJson, Poller } from "./poll.js";
import { rememberSymbol } from "./preferences.js";

const NAMES = ["symbol", "market", "depth", "side", "range", "unit", "tab", "compare", "from", "to"];
const FETCHED = ["symbol", "market", "depth", "range", "compare"]; // a change of the others shows what is there already
const RANGES = ["1h", "6h", "24h", "7d", "30d", "60d", "1y", "all"];
const MINUTES_KEPT = 60 * 86400; // seconds

const workspace = document.getElementById("workspace");
const urls = workspace.dataset;
let state = JSON.parse(document.getElementById("state").textContent);
let choice = state.choice;
let liquidity = new Liquidity(state.step, state.series);
let other = otherOf(state);
let older = null;
let hovered = null; // the moment under the crosshair

const freshness = new Freshness(urls, showPill);
const book = new OrderBook(document.getElementById("panel-book"));
const diff = new DiffPanel(document.getElementById("panel-diff"), (depth) => addressOf({ ...choice, depth }));
const chart = new DepthChart(document.getElementById("chart"), { moved, older: loadOlder, hover, arranged: drawLegend });
const whole = new WholeState({ workspace, address: dataAddress, page: () => addressOf(choice), took: replace, failed });
const poller = new Poller(poll, (error, delay) => freshness.down(error, delay));
const live = new Live({ booked: tookLive, changed: (status) => freshness.connected(status) });
const writeMoved = atRest(() => {
  history.replaceState(choice, "", addressOf(choice));
  refreshLinks();
});
let drawing = 0; // the frame in which the newest live book is drawn
let chartDrawnAt = 0;

/** The other market's series, where both are compared. */
function otherOf({ step, other: series }) {
  return series ? new Liquidity(step, series) : null;
}

// --- addresses -----------------------------------------------------------------------------------------------------

function addressOf(wanted) {
  return `${urls.pageUrl}?${queryOf(NAMES, wanted)}`;
}

function dataAddress(extra = {}) {
  return `${urls.dataUrl}?${queryOf([...FETCHED, "from", "to", "after", "before"], { ...choice, ...extra })}`;
}

function refreshLinks() {
  for (const link of document.querySelectorAll("a[data-set]")) {
    const [name, value] = link.dataset.set.split("=");
    if (name === "compare") continue;
    link.href = addressOf({ ...choice, [name]: value });
    if (!link.closest("table")) {
      if (choice[name] === value) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
  }
  const to = Math.floor(freshness.serverNow() / 1000);
  const span = { from: choice.from ?? to - state.span, to: choice.to ?? to };
  const interval = to - span.from <= MINUTES_KEPT + 3600 ? "1m" : state.interval;
  const query = { dataset: "depth", format: "csv", symbol: choice.symbol, marketType: choice.market, depth: choice.depth, ...span, interval };
  document.getElementById("export-csv").href = `${urls.exportUrl}?${new URLSearchParams(query)}`;
  refreshCompare();
}

function refreshCompare() {
  const link = document.getElementById("compare");
  link.href = addressOf({ ...choice, compare: choice.compare ? null : "1" });
  link.setAttribute("aria-pressed", Boolean(choice.compare));
  link.querySelector("b").textContent = choice.market === "SPOT" ? "FUTURES" : "SPOT";
  link.hidden = !state.otherMarket;
}

// --- choosing ------------------------------------------------------------------------------------------------------

/** Changes some of what is chosen: the address, then the picture in place. */
function choose(changes) {
  const next = { ...choice, ...changes };
  if (["symbol", "market", "range"].some((name) => changes[name] !== undefined)) next.from = next.to = null;
  if (NAMES.every((name) => next[name] === choice[name])) return;
  history.pushState(next, "", addressOf(next));
  take(next);
}

function take(next) {
  const before = choice;
  choice = next;
  document.body.dataset.tab = choice.tab;
  refreshLinks();
  if (FETCHED.every((name) => before[name] === choice[name])) return redraw(before);
  older?.abort();
  older = null;
  whole.ask(["symbol", "market", "range"].some((name) => before[name] !== choice[name]));
}

function failed(error, delay) {
  freshness.down(error, delay);
  poller.retry();
}

function redraw(before) {
  if (choice.from && (choice.from !== before.from || choice.to !== before.to)) chart.look(choice.from, choice.to);
  else if (!choice.from && before.from) chart.reset();
  drawChart();
  if (before.unit !== choice.unit) diff.show(state, choice, false);
}

/** A whole new state; `elsewhere` says that the picture in view has nothing to do with the last one. */
function replace(fresh, elsewhere) {
  older?.abort(); // of the picture that was there
  older = null;
  state = withNewer(state, fresh);
  liquidity = new Liquidity(state.step, state.series);
  other = otherOf(state);
  if (elsewhere) chart.live = true;
  freshness.took(state);
  if (elsewhere) hovered = null;
  live.watch(state.symbol, state.market);
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
  document.getElementById("spread").textContent = top ? `${basisPoints((spread / mid) * 10000)} bps` : "–";
  const arrow = { up: "▲", down: "▼", "": "" }[freshness.direction];
  document.getElementById("direction").textContent = arrow;
  document.querySelector(".price").dataset.direction = freshness.direction;
  document.title = `${arrow}${arrow && " "}${price} ${state.symbol} ${state.market} · Trading Platform`;
}

function drawChart() {
  const end = freshness.serverNow() / 1000;
  chart.layout(choice.side, Boolean(other));
  const gaps = gapsOf(liquidity, state.market, end);
  freshness.gaps = other ? [...gaps, ...gapsOf(other, state.otherMarket, end, gaps)] : gaps;
  // A minute that is still being read is no gap: the scale ends at the newest point then.
  const newest = Math.max(liquidity.last ?? 0, other?.last ?? 0) || end;
  const points = withLivePoint(liquidity.points(choice.unit, gaps.some((gap) => gap.open) ? end : newest, other), state, choice.unit);
  const markets = [state.market, state.otherMarket];
  chart.show(points, { gaps: freshness.gaps, since: sinceWhen(), step: state.step, span: state.span, markets });
  document.getElementById("chart-empty").hidden = liquidity.last !== null;
  drawLegend();
}

/** A market's gaps with their causes; those that `shown` has already are left out. */
function gapsOf(series, market, end, shown = null) {
  const told = (gap) => freshness.causeAt(gap.from + state.step, market) || (gap.minutes ? "minutes missing" : "not collected");
  return series
    .gaps(end)
    .filter((gap) => !shown?.some((one) => one.from === gap.from && one.to === gap.to))
    .map((gap) => ({ ...gap, market, other: Boolean(shown), text: shown ? `${market}: ${told(gap)}` : told(gap) }));
}

/** What stands before the first point: since when anything is kept, or where older points are. */
function sinceWhen() {
  const { first, from } = liquidity;
  if (!first) return null;
  if (first > from + state.step) return { time: first, text: `kept since ${clock(first * 1000, "moment")} ${zoneName()}` };
  if (from <= state.earliest + state.step) return { time: first, text: "further back: choose a longer range" };
  return null;
}

function drawLegend() {
  showLegend({ chart, choice, state, point: hovered === null ? null : chart.at(hovered), liquidity, other, freshness });
}

function hover(time) {
  hovered = time;
  drawLegend();
}

function moved(range) {
  choice = withRange(choice, range);
  writeMoved();
}

// --- the live book -------------------------------------------------------------------------------------------------

function tookLive(message) {
  if (message.symbol !== state.symbol || message.marketType !== state.market) return;
  if (message.timestamp < (state.book?.receivedAt ?? 0)) return; // the page has a newer one
  state = withBook(state, message);
  freshness.tookLive(state);
  drawing ||= requestAnimationFrame(drawLive);
}

function drawLive(now) {
  drawing = 0;
  drawHeadline();
  book.show(state, true);
  if (now - chartDrawnAt < 1000) return;
  chartDrawnAt = now;
  diff.show(state, choice, false); // sums of many levels always change: a light on each would never go out
  drawChart();
}

// --- asking --------------------------------------------------------------------------------------------------------

async function poll() {
  if (whole.behind) return whole.catchUp();
  if (await freshness.asksInstead()) return drawChart();
  if (live.status === "connected" && liquidity.last >= Math.floor(freshness.serverNow() / 60000) * 60) return; // nothing new is kept yet
  const asked = { ...choice };
  const after = liquidity.last ?? Math.floor(freshness.serverNow() / 1000) - state.span;
  const fresh = await getJson(dataAddress({ after, from: null, to: null }));
  if (whole.behind || FETCHED.some((name) => asked[name] !== choice[name])) return;
  if (fresh.step !== state.step || Boolean(fresh.other) !== Boolean(other)) return whole.renew();
  const added = [add(liquidity, fresh.series), add(other, fresh.other)];
  const changed = added.some(Boolean);
  const newer = fresh.book?.receivedAt !== state.book?.receivedAt;
  state = withNewer(state, { ...state, ...fresh, series: state.series });
  freshness.took(state);
  if (newer) draw(true);
  else if (changed || freshness.stale) drawChart();
}

/** What is new at the end of a series; its beginning stays where it is. */
function add(series, columns) {
  return series?.add({ ...columns, from: series.from });
}

async function loadOlder() {
  if (older || whole.behind || liquidity.from <= state.earliest) return;
  older = new AbortController();
  const { signal } = older;
  try {
    const fresh = await getJson(dataAddress({ before: liquidity.from, from: null, to: null }), signal);
    liquidity.add(fresh.series);
    if (fresh.other) other?.add(fresh.other);
    drawChart();
    poller.postpone();
  } catch (error) {
    if (error.name !== "AbortError") freshness.down(error, 5000);
  } finally {
    if (older?.signal === signal) older = null;
  }
}

// --- hands ---------------------------------------------------------------------------------------------------------

onSet((name, value) => (name === "compare" ? compare() : choose({ [name]: value })));
document.addEventListener("symbol-chosen", (event) => {
  event.preventDefault();
  choose({ symbol: event.detail.symbol, market: marketOf(event.detail, choice) });
});
document.addEventListener("retry", () => poller.retry());
document.addEventListener("preference", drawLegend);
window.addEventListener("popstate", ({ state: kept }) => kept && take(kept));
document.getElementById("download-png").addEventListener("click", savePicture);

function savePicture() {
  const markets = other ? `${state.market} and ${state.otherMarket} (thin)` : state.market;
  const title = `${state.symbol} ${markets} liquidity within ${state.depth}% · ${state[choice.unit]} · ${choice.range}`;
  const note = "paler, dashed or hatched: lower bounds";
  download({ chart, title, note, name: `${state.symbol}-${state.market}-${state.depth}-${choice.range}`, now: freshness.serverNow() });
}

function compare() {
  if (state.otherMarket) choose({ compare: choice.compare ? null : "1" });
}

function step(list, current, by) {
  return list[Math.max(0, Math.min(list.length - 1, list.indexOf(current) + by))];
}
RANGES.forEach((range, i) => onKey(String(i + 1), () => choose({ range })));
const bands = () => [...document.querySelectorAll("#bands a")].map((link) => link.dataset.set.split("=")[1]);
onKey("[", () => choose({ depth: step(bands(), choice.depth, -1) }));
onKey("]", () => choose({ depth: step(bands(), choice.depth, 1) }));
for (const [key, side] of Object.entries({ b: "bid", a: "ask", o: "both", d: "diff" })) onKey(key, () => choose({ side }));
onKey("m", () => choose({ market: choice.market === "SPOT" ? "FUTURES" : "SPOT" }));
onKey("c", compare);
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
live.watch(state.symbol, state.market);
performance.mark("chart-drawn");
