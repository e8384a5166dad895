// The derivatives page: what is chosen (and its address), what the server gave, and how it is shown.

import { download } from "./chart_picture.js";
import { WholeState, atRest, markChosen, onSet, queryOf, withRange } from "./choice.js";
import { DerivativesChart } from "./derivatives_chart.js";
import { basis, showLegends } from "./derivatives_legend.js";
import { LiveTrades } from "./derivatives_live.js";
import { ContractPill } from "./derivatives_pill.js";
import { Contract } from "./derivatives_series.js";
import { COLUMNS, ContractsTable } from "./derivatives_table.js";
import { Tape } from "./derivatives_tape.js";
import { age, clock, compact, fixed, percent, zoneName } from "./format.js";
import { announce, onKey, showPill } from "./frame.js";
import { getJson, Poller } from "./poll.js";
import { rememberSymbol } from "./preferences.js";

const NAMES = ["symbol", "market", "range", "tape", "tab", "sort", "dir", "q", "from", "to"];
const PLACE = ["symbol", "range"]; // a change of these is another picture
const RANGES = ["1h", "6h", "24h", "7d", "30d", "60d"];
const TABLE_EVERY = 3; // turns of the poller
const byId = (id) => document.getElementById(id);

const workspace = byId("workspace");
const urls = workspace.dataset;
let state = JSON.parse(byId("state").textContent);
let { choice, table, alerts } = state;
let contract = null;
let hovered = null;
let turns = 0;
let flowAsked = null; // the picture whose flow is under way

const pill = new ContractPill(showPill);
const tape = new Tape(() => readTape().catch((error) => pill.down(error, 5000)));
const chart = new DerivativesChart(byId("chart"), { moved, hover, arranged: drawLegends });
const contracts = new ContractsTable(byId("contracts"), (changes) => addressOf({ ...choice, ...changes }));
const live = new LiveTrades({ traded: (message) => tape.hear(message), changed: (status) => tape.say(status) });
const writeMoved = atRest(() => history.replaceState(choice, "", addressOf(choice)));
const whole = new WholeState({ workspace, address: dataAddress, page: () => addressOf(choice), took: replace, failed });
const poller = new Poller(poll, (error, delay) => pill.down(error, delay));

// --- addresses -------------------------------------------------------------------------------------------------------

function addressOf(wanted) {
  return `${urls.pageUrl}?${queryOf(NAMES, { ...wanted, q: wanted.q || null })}`;
}

function dataAddress(extra = {}) {
  return `${urls.dataUrl}?${queryOf(NAMES, choice)}&${new URLSearchParams(extra)}`;
}

function refreshControls() {
  markChosen(choice, addressOf, ".choices a[data-set], .tabs a[data-set]");
  for (const link of document.querySelectorAll("a[data-export]")) {
    const wanted = { dataset: link.dataset.export, format: link.dataset.format, symbol: choice.symbol, from: state.first };
    if (link.dataset.export === "trades") wanted.marketType = choice.market;
    link.href = `${urls.exportUrl}?${new URLSearchParams(wanted)}`;
  }
  document.body.dataset.tab = choice.tab;
  byId("symbol").textContent = state.symbol; // what is in view, until there is an answer
  for (const unit of document.querySelectorAll("[data-unit]")) unit.textContent = state[unit.dataset.unit];
  if (document.activeElement !== byId("filter")) byId("filter").value = choice.q;
}

// --- choosing --------------------------------------------------------------------------------------------------------

function choose(changes, replace = false) {
  const next = { ...choice, ...changes };
  if (PLACE.some((name) => next[name] !== choice[name])) next.from = next.to = null;
  if (NAMES.every((name) => next[name] === choice[name])) return;
  if (replace) history.replaceState(next, "", addressOf(next));
  else history.pushState(next, "", addressOf(next));
  take(next);
}

function take(next) {
  const before = choice;
  choice = next;
  refreshControls();
  drawTable();
  if (choice.from !== before.from || choice.to !== before.to) chart.lookAt(choice);
  if (["symbol", "range", "market", "tape"].every((name) => before[name] === choice[name])) return;
  whole.ask(PLACE.some((name) => before[name] !== choice[name]));
}

function failed(error, delay) {
  pill.down(error, delay);
  poller.retry();
}

/** A whole new state; `elsewhere`: the picture in view has nothing to do with the last one. */
function replace(fresh, elsewhere) {
  state = fresh;
  contract = new Contract(state);
  pill.took(state);
  tape.reset(state.tape, state);
  live.watch(state.symbol, state.tape.market, state.tape.least);
  if (elsewhere) {
    hovered = null;
    rememberSymbol(choice.symbol);
    document.title = `${choice.symbol} derivatives · Trading Platform`;
    announce(`${choice.symbol}, ${choice.range}`);
  }
  refreshControls();
  draw(elsewhere);
  if (elsewhere) chart.lookAt(choice);
  poller.postpone();
  if (contract.lacksFlow) readFlow();
}

// --- drawing ---------------------------------------------------------------------------------------------------------

function draw(elsewhere = false) {
  const now = pill.serverNow() / 1000;
  chart.show({ contract, decimals: state.decimals, now, holes: choice.market === "FUTURES" ? (tape.holes ?? []) : [] }, elsewhere);
  drawLegends();
  drawHeadline();
  drawTable();
  drawAlerts();
  drawEmpty();
}

function drawLegends() {
  if (contract) showLegends({ state, contract, chart, time: hovered, now: pill.serverNow() / 1000 });
}

function drawHeadline() {
  const { mark, interest } = state.newest;
  byId("price").textContent = mark ? fixed(mark.price, state.decimals) : "–";
  const first = contract.sorted.find((point) => point.mark !== null);
  byId("change").textContent = mark && first ? `${percent((mark.price / first.mark - 1) * 100)}% since ${clock(first.time * 1000, "moment")}` : "";
  const facts = [
    ["Open interest", interest ? `${compact(interest.notional ?? interest.value)} ${interest.notional === null ? state.base : state.quote}` : "–"],
    ["Funding", mark?.rate == null ? "–" : `${percent(mark.rate * 100, 4)}%`],
    ["paid in", mark?.nextFunding ? age(Math.max(0, mark.nextFunding - pill.serverNow())) : "–"],
    ["Basis", mark ? basis(mark) : "–"],
  ];
  byId("glance").replaceChildren(...facts.map(([name, text]) => {
    const [pair, term, fact] = ["div", "dt", "dd"].map((kind) => document.createElement(kind));
    [term.textContent, fact.textContent] = [name, text];
    pair.append(term, fact);
    return pair;
  }));
}

function drawTable(flash = false) {
  const shown = contracts.show(table, choice, pill.serverNow(), flash);
  byId("shown").textContent = shown === table.length ? `${shown}` : `${shown} of ${table.length}`;
}

function drawAlerts() {
  const rows = alerts.map((alert) => {
    const made = document.createElement("li");
    const open = alert.resolvedAt === null;
    const head = Object.assign(document.createElement("time"), { textContent: clock(alert.timestamp, "moment"), dateTime: new Date(alert.timestamp).toISOString(), title: `${clock(alert.timestamp, "exact")} ${zoneName()}` });
    const body = document.createElement("span");
    const known = alert.symbol && table.some(({ symbol }) => symbol === alert.symbol);
    if (known) {
      const link = Object.assign(document.createElement("a"), { textContent: alert.message, href: addressOf({ ...choice, symbol: alert.symbol, from: null, to: null }) });
      link.dataset.set = `symbol=${alert.symbol}`;
      body.append(link);
    } else body.textContent = alert.message;
    made.append(head, body, Object.assign(document.createElement("small"), { textContent: open ? alert.rule : `${alert.rule}, over after ${age(alert.resolvedAt - alert.timestamp)}` }));
    return made;
  });
  if (!rows.length) rows.push(Object.assign(document.createElement("li"), { className: "none", textContent: "No alert was seen yet. The alert centre says what is watched." }));
  byId("alerts").replaceChildren(...rows);
}

function drawEmpty() {
  const nothing = contract.sorted.every((point) => point.mark === null && point.interest === null);
  const empty = byId("chart-empty");
  empty.hidden = !nothing;
  if (!nothing) return;
  empty.children[0].textContent = `Nothing of ${choice.symbol} is kept of this range`;
  empty.children[1].textContent = state.expected.marks ? "Mark prices and open interest appear here as they come." : "Mark prices are not taken: FUTURES_STREAMS does not name markPrice.";
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

/** One request a turn: what is new of the contract, or now and then all contracts and alerts; the trades where no
 * socket brings them. */
async function poll() {
  if (whole.behind) return whole.catchUp();
  turns += 1;
  if (turns % TABLE_EVERY === 0) return readTable();
  if (live.status === null && turns % 2) return readTape();
  const asked = choice;
  const last = contract.sorted.at(-1)?.time;
  const fresh = await getJson(dataAddress(last ? { after: last } : {}));
  if (whole.behind || PLACE.some((name) => asked[name] !== choice[name])) return;
  if (fresh.first > (last ?? 0) + contract.step) return whole.renew();
  const follows = !choice.from;
  const steps = contract.sorted.length;
  contract.take(fresh);
  contract.forget(contract.sorted.at(-1).time - (steps - 1) * contract.step);
  state = { ...state, now: fresh.now, newest: fresh.newest, first: contract.sorted[0].time };
  pill.took(state);
  draw(follows && contract.sorted.at(-1).time !== last);
  if (contract.lacksFlow) readFlow();
}

async function readTable() {
  const fresh = await getJson(dataAddress({ part: "table" }));
  [table, alerts] = [fresh.table, fresh.alerts];
  pill.took(fresh);
  drawTable(true);
  drawAlerts();
}

async function readTape() {
  const asked = choice;
  const fresh = await getJson(dataAddress({ part: "tape" }));
  if (whole.behind || ["symbol", "market", "tape"].some((name) => asked[name] !== choice[name])) return;
  pill.took(fresh);
  tape.reset(fresh.tape, state);
}

/** The flow of a long range takes longer than the rest. */
async function readFlow() {
  const asked = contract;
  if (flowAsked === asked) return;
  flowAsked = asked;
  try {
    const { flow } = await getJson(dataAddress({ part: "flow" }), whole.signal);
    if (whole.behind || asked !== contract) return;
    contract.takeFlow(flow);
    draw();
  } catch (error) {
    if (error.name !== "AbortError") pill.down(error, 5000);
  } finally {
    if (flowAsked === asked) flowAsked = null;
  }
}

// --- hands -----------------------------------------------------------------------------------------------------------

onSet((name, value) => choose({ [name]: value, ...(name === "symbol" && choice.tab === "market" ? { tab: "chart" } : {}) }));
byId("contracts").tHead.addEventListener("click", ({ target }) => {
  const button = target.closest("button[data-sort]");
  if (!button) return;
  const { sort, first } = button.dataset;
  choose({ sort, dir: sort === choice.sort ? (choice.dir === "desc" ? "asc" : "desc") : first });
});
byId("sorter").addEventListener("change", ({ target }) => choose({ sort: target.value, dir: COLUMNS.find(([key]) => key === target.value)[3] }));
byId("filter").addEventListener("input", ({ target }) => choose({ q: target.value.trim().toUpperCase() }, true));
byId("pause").addEventListener("click", () => tape.pause(!tape.paused));
byId("download-png").addEventListener("click", () => {
  const { symbol, range } = state.choice;
  download({ chart, title: `${symbol} FUTURES · ${range}`, note: "liquidations are a sample: at least this much", name: `${symbol}-derivatives-${range}`, now: pill.serverNow() });
});
document.addEventListener("symbol-chosen", (event) => {
  event.preventDefault();
  choose({ symbol: event.detail.symbol });
});
document.addEventListener("second", ({ detail }) => tape.tick(detail));
document.addEventListener("retry", () => poller.retry());
document.addEventListener("preference", () => {
  draw();
  tape.draw();
});
window.addEventListener("popstate", ({ state: kept }) => kept && take(kept));
RANGES.forEach((range, i) => onKey(String(i + 1), () => choose({ range })));
onKey("m", () => choose({ market: choice.market === "SPOT" ? "FUTURES" : "SPOT" }));
onKey(" ", () => tape.pause(!tape.paused));
onKey("f", () => byId("filter").focus());
onKey("r", () => chart.reset());
onKey("e", () => byId("exports").togglePopover());
onKey("p", () => byId("download-png").click());

// --- beginning -------------------------------------------------------------------------------------------------------

history.replaceState(choice, "", location.href);
replace(state, true);
poller.start();
performance.mark("derivatives-drawn");
