// The analysis page: what is chosen (and its address), what the server gave, and how both are shown.

import { Candles } from "./analysis_candles.js";
import { AnalysisChart } from "./analysis_chart.js";
import { Depth } from "./analysis_depth.js";
import { LiveCandles } from "./analysis_live.js";
import { Menu } from "./analysis_menu.js";
import { showAnalysis, showLegends } from "./analysis_panels.js";
import { PricePill } from "./analysis_pill.js";
import { download } from "./chart_picture.js";
import { WholeState, atRest, markChosen, marketOf, onSet, queryOf, withRange } from "./choice.js";
import { fixed, percent } from "./format.js";
import { announce, onKey, showPill } from "./frame.js";
import { getJson, Poller } from "./poll.js";
import { rememberSymbol } from "./preferences.js";

const NAMES = ["symbol", "market", "timeframe", "indicators", "colors", "show", "depth", "tab", "from", "to"];
const PLACE = ["symbol", "market", "timeframe"]; // a change of these is another picture
const KEYS = { 1: "1", 2: "3", 3: "5", 4: "15", 5: "30", 6: "45", 7: "1H", 8: "4H", 9: "1D", 0: "1W" };
const AGAIN = 60_000; // milliseconds after which an analysis that failed is asked for again
const SELDOM = 30_000; // how often the page asks for what its socket tells
const narrow = matchMedia("(max-width: 760px)");

const workspace = document.getElementById("workspace");
const urls = workspace.dataset;
const catalogue = JSON.parse(document.getElementById("catalogue").textContent);
let state = JSON.parse(document.getElementById("state").textContent);
let { choice } = state;
let candles = null;
let analysis = null; // of `analysed`, what is in view
let analysed = "";
let problem = "Reading what the rules say…";
let tried = ""; // what was asked for last, and when
let triedAt = -Infinity;
let older = null;
let exhausted = false; // there is no older history
let wholeAt = -Infinity; // when the whole picture was asked for
let askedAt = -Infinity; // when the newest candles were asked for
let hovered = null;

const pill = new PricePill(showPill);
const depth = new Depth(urls.depthUrl);
const menu = new Menu(catalogue, (labels, colors) => choose({ indicators: labels.join(","), colors }));
const chart = new AnalysisChart(document.getElementById("chart"), { older: loadOlder, moved, hover, arranged: drawLegends });
const live = new LiveCandles(tookLive);
const writeMoved = atRest(() => history.replaceState(choice, "", addressOf(choice)));
const whole = new WholeState({ workspace, address: dataAddress, page: () => addressOf(choice), took: replace, failed });
const poller = new Poller(poll, (error, delay) => pill.down(error, delay));

// --- addresses -------------------------------------------------------------------------------------------------------

function query(wanted) {
  return queryOf(NAMES, wanted).toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
}

function addressOf(wanted) {
  return `${urls.pageUrl}?${query(wanted)}`;
}

function dataAddress(extra = {}) {
  return `${urls.dataUrl}?${query(choice)}&${new URLSearchParams(extra)}`;
}

function refreshControls() {
  markChosen(choice, addressOf);
  const from = candles.first?.time ?? Math.floor(pill.serverNow() / 1000) - 86400;
  for (const link of document.querySelectorAll("a[data-export]")) {
    const wanted = { dataset: "candles", format: link.dataset.export, symbol: choice.symbol, marketType: choice.market, timeframe: choice.timeframe, from };
    link.href = `${urls.exportUrl}?${new URLSearchParams(wanted)}`;
  }
  for (const box of document.querySelectorAll("#drawings input")) box.checked = shown().has(box.name);
  document.getElementById("depth").value = choice.depth;
  document.body.dataset.tab = choice.tab;
  document.getElementById("symbol").textContent = state.choice.symbol; // what is in view, until there is an answer
  document.getElementById("market").textContent = state.choice.market;
  menu.show(labels(), choice.colors);
}

function labels() {
  return choice.indicators ? choice.indicators.split(",") : [];
}

function shown() {
  return new Set(choice.show.split(","));
}

// --- choosing --------------------------------------------------------------------------------------------------------

function choose(changes) {
  const next = { ...choice, ...changes };
  if (PLACE.some((name) => next[name] !== choice[name])) next.from = next.to = null;
  if (NAMES.every((name) => next[name] === choice[name])) return;
  history.pushState(next, "", addressOf(next));
  take(next);
}

function take(next) {
  const before = choice;
  choice = next;
  refreshControls();
  const elsewhere = PLACE.some((name) => before[name] !== choice[name]);
  if (before.depth !== choice.depth) depth.reset(keyOfDepth());
  if (!elsewhere && before.indicators === choice.indicators) {
    draw();
    if (choice.from !== before.from || choice.to !== before.to) chart.lookAt(choice);
    if (!whole.behind && shown().has("depth") && depth.from === null) askBeside(); // else with the picture that comes
    return;
  }
  older?.abort();
  older = null;
  whole.ask(elsewhere);
}

function failed(error, delay) {
  pill.down(error, delay);
  poller.retry();
}

/** A whole new state; `elsewhere` says that the picture in view has nothing to do with the last one. */
function replace(fresh, elsewhere) {
  older?.abort(); // of the picture that was there
  older = null;
  state = fresh;
  candles = new Candles(state.minutes, new Set(labels().filter((label) => menu.read(label).indicator?.whole)));
  candles.take(state);
  exhausted = state.candles.length < state.stretch;
  wholeAt = askedAt = performance.now();
  live.watch(choice.symbol, choice.market, choice.timeframe, labels());
  if (!analysis) analysed = tried = "";
  pill.took(state);
  if (elsewhere) {
    [analysis, hovered, analysed, tried] = [null, null, "", ""];
    problem = candles.last ? "Reading what the rules say…" : "There are no closed candles yet.";
    rememberSymbol(choice.symbol);
    announce(`${choice.symbol} ${choice.market}, ${choice.timeframe}`);
  }
  if (depth.key !== keyOfDepth()) depth.reset(keyOfDepth());
  refreshControls();
  draw(elsewhere);
  if (elsewhere) chart.lookAt(choice);
  poller.postpone();
  if (elsewhere || (shown().has("depth") && depth.from === null)) askBeside();
}

function keyOfDepth() {
  return [choice.symbol, choice.market, choice.depth, choice.timeframe].join(" ");
}

// --- drawing ---------------------------------------------------------------------------------------------------------

/** What fits: a phone has room for one pane below the price. */
function fitting() {
  const all = menu.specs(labels());
  const drawings = shown();
  if (!narrow.matches) return { specs: all, shown: drawings, folded: 0 };
  const panes = all.filter(({ indicator }) => !indicator.overlay);
  const first = panes[0];
  const folded = Math.max(0, panes.length - 1) + (first && drawings.delete("depth") ? 1 : 0);
  return { specs: all.filter((spec) => spec.indicator.overlay || spec === first), shown: drawings, folded };
}

function view() {
  const fits = fitting();
  const { symbol, market, timeframe } = state.choice;
  return { ...fits, candles, choice: { ...choice, symbol, market, timeframe }, chart, analysis, decimals: state.decimals, time: hovered, depth: fits.shown.has("depth") ? depth.byCandle(candles) : new Map(), depthProblem: depth.problem };
}

let drawn = null; // the view in the picture; the crosshair asks of it often

function draw(elsewhere = false) {
  drawn = view();
  chart.show(drawn, elsewhere);
  drawLegends();
  drawHeadline();
  drawPanels();
  drawEmpty();
}

/** Candles that the socket told of. */
function tookLive(found) {
  const newest = candles.last;
  if (!newest || whole.behind) return; // the answer that is on its way holds them
  const due = candles.shift(newest.time, 1);
  const behind = found.filter(({ row }) => row[0] > due);
  if (behind.length) askedAt = -Infinity; // candles between are missing here: the next turn asks for them
  for (const { row, told = {} } of found) if (row[0] >= (candles.lastClosed ?? newest).time) candles.live(row, told, movedBack());
  pill.heard(found.at(-1).heardAt);
  draw();
}

/** Lines that are drawn behind the price, by how many candles. */
function movedBack() {
  const found = labels().filter((label) => menu.read(label).indicator?.name === "ichimoku");
  return Object.fromEntries(found.map((label) => [`${label}|chikou`, menu.read(label).values[3] - 1]));
}

function drawLegends() {
  if (drawn) showLegends({ ...drawn, time: hovered });
}

function drawHeadline() {
  const { last } = candles;
  const fine = state.minutes && state.minutes <= 15; // a longer candle would stand for another moment than 24 hours ago
  const day = last && fine ? candles.at(last.time - 86400) : null;
  document.getElementById("price").textContent = last ? fixed(last.close, state.decimals) : "–";
  const change = last && (last.close / (day ?? last).open - 1) * 100;
  document.getElementById("change").textContent = last ? `${percent(change)}% ${day ? "over 24 h" : "this candle"}` : "";
}

function drawPanels() {
  const closed = candles.lastClosed;
  const told = analysis && { ...analysis, close: candles.at(analysis.timestamp / 1000)?.close ?? closed?.close };
  showAnalysis({ analysis: told, problem, decimals: state.decimals, look: (time) => chart.look(time) });
}

function drawEmpty() {
  const empty = document.getElementById("chart-empty");
  empty.hidden = Boolean(candles.last);
  if (candles.last) return;
  const { progress } = state;
  const far = progress ? `Its history is ${progress.percent.toFixed(1)}% collected${progress.error ? `; the last attempt failed: ${progress.error}` : ""}.` : "Its history has not been asked for yet; the collector begins with its next minute.";
  empty.querySelector("strong").textContent = `No candles of ${choice.symbol} ${choice.market} yet`;
  document.getElementById("empty-why").textContent = `${far} They appear here by themselves.`;
}

function moved(range) {
  choice = withRange(choice, range);
  writeMoved();
}

function hover(time) {
  hovered = time;
  drawLegends();
}

// --- asking ----------------------------------------------------------------------------------------------------------

/** One request a turn: what is new, or now and then the analysis or the depth instead. */
async function poll() {
  if (whole.behind) return whole.catchUp();
  if (!pill.failure && (await askInstead())) return;
  if (!pill.failure && candles.last && live.on && performance.now() - askedAt < SELDOM) return;
  const asked = { ...choice };
  const fresh = await getJson(dataAddress(candles.last ? { after: sinceWhen() } : {}));
  if (whole.behind || PLACE.some((name) => asked[name] !== choice[name]) || asked.indicators !== choice.indicators) return;
  state = { ...state, progress: fresh.progress };
  if ((candles.last && fresh.candles.length >= fresh.stretch) || historyGrows()) return whole.renew();
  askedAt = performance.now();
  const first = !candles.last && fresh.candles.length > 0;
  candles.take(fresh);
  state = { ...state, ...fresh };
  pill.took(state);
  draw(first);
}

/** Once a minute while a short history is being collected: then the whole picture is asked for again. */
function historyGrows() {
  if (!exhausted || !(state.progress?.percent < 100) || performance.now() - wholeAt < AGAIN) return false;
  if (candles.sorted.length < state.stretch) return true;
  exhausted = false; // scrolling back asks for more
  return false;
}

/** The newest closed candle, and before it as many as lines that look back are moved by. */
function sinceWhen() {
  const moved = Math.max(0, ...menu.specs(labels()).map(({ label, indicator }) => (indicator.name === "ichimoku" ? menu.read(label).values[3] : 0)));
  const closed = candles.sorted.findLastIndex((candle) => candle.closed);
  return candles.sorted[Math.max(0, closed - Math.min(moved, state.stretch - 100))].time;
}

async function askInstead() {
  if (analysisDue()) {
    await askAnalysis();
    return true;
  }
  if (!shown().has("depth") || !candles.last || !depth.due) return false;
  await askDepth(candles.first.time);
  return true;
}

/** With another picture, what stands beside it is asked for at once. */
async function askBeside() {
  const { signal } = whole;
  try {
    if (analysisDue()) await askAnalysis(signal);
    if (shown().has("depth") && candles.last) await askDepth(candles.first.time, signal);
    poller.postpone();
  } catch (error) {
    if (error.name !== "AbortError") pill.down(error, 5000);
  }
}

function analysisKey() {
  return [choice.symbol, choice.market, choice.timeframe, candles.lastClosed?.time].join(" ");
}

function analysisDue() {
  const key = analysisKey();
  return Boolean(candles.lastClosed) && analysed !== key && (tried !== key || performance.now() - triedAt > AGAIN);
}

async function askAnalysis(signal) {
  const key = analysisKey();
  [tried, triedAt] = [key, performance.now()];
  if (tooFew()) return told(null, key);
  const asked = { symbol: choice.symbol, marketType: choice.market, timeframe: choice.timeframe };
  let answer = null;
  try {
    answer = await getJson(`${urls.analysisUrl}?${new URLSearchParams(asked)}`, signal);
  } catch (error) {
    if (error.status !== 404) throw error;
  }
  if (key === analysisKey()) told(answer, key);
}

function told(answer, key) {
  const behind = answer && answer.timestamp < candles.lastClosed.time * 1000; // it is asked for again in a minute
  [analysis, analysed] = [answer, behind ? "" : key];
  if (!answer) problem = `Too few closed candles of this timeframe yet: ${state.fewest} are needed. A shorter timeframe may have them.`;
  draw();
}

/** Then there is nothing to ask for. */
function tooFew() {
  return exhausted && candles.sorted.filter(({ closed }) => closed).length < state.fewest;
}

async function askDepth(from, signal) {
  if (await depth.fetch(choice, state.minutes, from, Math.floor(pill.serverNow() / 1000), signal)) draw();
}

async function loadOlder() {
  if (older || whole.behind || !candles.first) return;
  const shallow = shown().has("depth") && depth.from !== null && depth.from > candles.first.time;
  if (exhausted && !shallow) return;
  older = new AbortController();
  const { signal } = older;
  try {
    if (!exhausted) {
      const fresh = await getJson(dataAddress({ before: candles.first.time }), signal);
      exhausted = candles.take(fresh) === 0;
      refreshControls();
    }
    if (shown().has("depth") && depth.from > candles.first.time) await askDepth(candles.first.time, signal);
    else draw();
    poller.postpone();
  } catch (error) {
    if (error.name !== "AbortError") pill.down(error, 5000);
  } finally {
    if (older?.signal === signal) older = null;
  }
}

// --- hands -----------------------------------------------------------------------------------------------------------

onSet((name, value) => choose({ [name]: value }));
document.getElementById("drawings").addEventListener("change", ({ target }) => {
  if (target.id === "depth") return choose({ depth: target.value });
  const names = [...document.querySelectorAll("#drawings input")].filter((box) => box.checked).map((box) => box.name);
  choose({ show: names.join(",") });
});
document.addEventListener("symbol-chosen", (event) => {
  event.preventDefault();
  choose({ symbol: event.detail.symbol, market: marketOf(event.detail, choice) });
});
document.addEventListener("retry", () => poller.retry());
document.addEventListener("preference", () => drawn && draw());
narrow.addEventListener("change", () => draw());
window.addEventListener("popstate", ({ state: kept }) => kept && take(kept));
for (const [key, timeframe] of Object.entries(KEYS)) onKey(key, () => choose({ timeframe }));
onKey("m", () => choose({ market: choice.market === "SPOT" ? "FUTURES" : "SPOT" }));
onKey("i", () => document.getElementById("indicators").togglePopover());
onKey("d", () => document.getElementById("drawings").togglePopover());
document.getElementById("download-png").addEventListener("click", () => {
  const { symbol, market, timeframe } = state.choice;
  download({ chart, title: `${symbol} ${market} · ${timeframe}`, note: "the last candle may be open", name: `${symbol}-${market}-${timeframe}`, now: pill.serverNow() });
});
onKey("p", () => document.getElementById("download-png").click());
onKey("r", () => chart.reset());
onKey("e", () => document.querySelector("a[data-export=csv]").click());

// --- beginning -------------------------------------------------------------------------------------------------------

history.replaceState(choice, "", location.href);
replace(state, true);
poller.start();
Object.defineProperties(globalThis, { analysisCandles: { get: () => candles }, analysisLive: { value: live } }); // for who looks
performance.mark("analysis-drawn");
