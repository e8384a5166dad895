// The DEX page: orders, filters that stand in the address, one order with its history.

import { LinesCard } from "./dex_lines.js";
import { OrdersLive, withChange, withQuotes, without } from "./dex_live.js";
import { blank, element, factsOf, happened, row, volumeRow } from "./dex_rows.js";
import { age, clock, fixed, zoneName } from "./format.js";
import { announce, showPill } from "./frame.js";
import { showNotice, wordOf } from "./pill.js";
import { getJson, Poller } from "./poll.js";

const PILLS = { healthy: "live", degraded: "stale", unhealthy: "down", off: "stale", unknown: "down" };
const WORDS = { healthy: "LIVE", degraded: "BEHIND", unhealthy: "STOPPED", off: "NO CHAIN", unknown: "UNKNOWN" };
const TOLD = ["connected", "off"]; // every change comes by the socket (none at all, where no chain is configured)
const KEPT = 30000; // milliseconds after which the page is read again, although the socket has told everything

const report = document.getElementById("report");
const filters = document.getElementById("filters");
let state = JSON.parse(document.getElementById("state").textContent);
let read = performance.now();
let failure = null;
let one = null; // the order that is shown, with its events
let missing = ""; // what is wrong with the order that the address names
let turn = 0; // of the address: answers to an older one are dropped
let dirty = false; // whether something has changed that only the server can tell whole
let drawing = 0;
const now = () => state.timestamp + performance.now() - read;
const poller = new Poller(poll, (error, delay) => down(error, delay));
const live = new OrdersLive({ told: hear, changed: () => tick() });
const lines = new LinesCard(document.getElementById("lines"), (change) => go(addressOf(change)), now);

const parameters = () => new URLSearchParams(location.search);

function addressOf(change) {
  const wanted = parameters();
  for (const [name, value] of Object.entries(change)) {
    if (value === "" || value === null) wanted.delete(name);
    else wanted.set(name, value);
  }
  return `${location.pathname}${wanted.size ? `?${wanted}` : ""}`;
}

// --- the list ------------------------------------------------------------------------------------------------------

function emptyWords() {
  if (state.scanner.status === "off" && !state.statistics.total) return "No chain is configured: WEB3_PROVIDERS and TRADING_ADDRESS switch it on.";
  return state.status === "all" && !state.user ? "No orders yet. They appear here once their block is confirmed." : "No orders like these. Choose another status or user.";
}

function drawList() {
  const focused = document.activeElement?.dataset?.order;
  const rows = state.orders.map((order) => row(order, addressOf({ order: order.id }), now(), order.id === one?.order.id));
  document.getElementById("orders").replaceChildren(...(rows.length ? rows : [blank(emptyWords(), 11)]));
  if (focused) document.querySelector(`[data-order="${focused}"]`)?.focus();
  const first = state.orders.length ? state.offset + 1 : 0;
  document.getElementById("shown").textContent = `${fixed(first, 0)} to ${fixed(state.offset + state.orders.length, 0)} of ${fixed(state.total, 0)}`;
  document.getElementById("newer").disabled = state.offset === 0;
  document.getElementById("older").disabled = state.offset + state.orders.length >= state.total;
  drawProblem();
}

function drawProblem() {
  document.getElementById("problem").textContent = [state.problem, missing].filter(Boolean).join(". ");
}

function drawCounts() {
  for (const figure of document.querySelectorAll("[data-count]")) figure.textContent = fixed(state.statistics[figure.dataset.count], 0);
  const rows = state.statistics.volumes.map(volumeRow);
  document.getElementById("volumes").replaceChildren(...(rows.length ? rows : [blank("Nothing was sold yet.", 5)]));
}

// --- one order -----------------------------------------------------------------------------------------------------

function drawOne() {
  document.getElementById("one").hidden = one === null;
  if (one === null) return;
  const { order, events } = one;
  document.getElementById("one-title").textContent = `Order #${order.id}`;
  document.getElementById("one-facts").replaceChildren(...factsOf(order).flatMap(([name, fact]) => {
    const told = element("dd");
    told.append(fact);
    return [element("dt", name), told];
  }));
  document.getElementById("history").replaceChildren(...events.map(happened));
}

async function orderOf(id) {
  const address = `${report.dataset.ordersUrl}${encodeURIComponent(id)}`;
  try {
    return { one: { order: await getJson(address), events: (await getJson(`${address}/events`)).events }, missing: "" };
  } catch (error) {
    return { one: null, missing: error.status === 404 || error.status === 400 ? `There is no order ${id}.` : "The order cannot be read now." };
  }
}

/** Reads the order that the address names, with its history; one request follows the other. */
async function readOne() {
  const id = parameters().get("order");
  const found = id ? await orderOf(id) : { one: null, missing: "" };
  if (parameters().get("order") !== id) return; // another one has been chosen meanwhile
  ({ one, missing } = found);
  drawOne();
  drawProblem();
  for (const link of document.querySelectorAll("[data-order]")) link.closest("tr").toggleAttribute("aria-current", Number(link.dataset.order) === one?.order.id);
}

/** Whether the order that is shown has changed since; `fresh` is the list that has just come. */
function oneChanged(fresh) {
  const listed = one && fresh.orders.find((order) => order.id === one.order.id);
  return Boolean(one) && (listed ? listed.status !== one.order.status : one.order.status === "PENDING" && fresh.statistics.pending !== state.statistics.pending);
}

// --- the whole -----------------------------------------------------------------------------------------------------

function draw() {
  drawCounts();
  drawList();
  lines.show(state.chart, parameters().get("tf") ?? "1");
  tick();
}

function tick() {
  const { status, lag } = state.scanner;
  const { block } = state.statistics;
  const told = block === null ? "" : `up to block ${fixed(block, 0)}, `;
  const followed = TOLD.includes(live.status);
  document.getElementById("read-at").textContent = followed ? `${told}live` : `${told}read ${age(now() - state.timestamp)} ago`;
  for (const cell of document.querySelectorAll("[data-moment]")) cell.textContent = age(now() - Number(cell.dataset.moment));
  lines.tick();
  document.body.classList.toggle("stale", Boolean(failure));
  if (!failure) {
    showNotice("");
    const facts = [["Scanner", status], ["Blocks behind", lag === null ? "–" : fixed(lag, 0)], ["Block", block === null ? "–" : fixed(block, 0)], ["Reorganisations", fixed(state.statistics.reorgs, 0)], ["Changes", followed ? "by socket" : "every 5 s"]];
    return showPill({ state: PILLS[status], word: WORDS[status], age: lag ? `${fixed(lag, 0)} blocks` : "", facts });
  }
  const left = age(Math.max(0, failure.retryAt - performance.now()));
  const words = wordOf(failure);
  showNotice(`${words} This is how it was at ${clock(state.timestamp)} ${zoneName()}. Next try in ${left}.`, "wrong");
  showPill({ state: "down", word: "DOWN", age: `retry in ${left}`, facts: [["Server", words]] });
}

function down(error, delay) {
  if (!failure) announce("The server does not answer");
  failure = { status: error.status, retryAt: performance.now() + delay };
  tick();
}

/** What the socket tells. Rows and counts follow at once; whatever a change alone cannot tell is read within seconds. */
function hear(message) {
  const { type, revision } = message;
  if (type === "status") {
    state.scanner = { ...state.scanner, status: message.scanner, lag: message.lag };
    state.statistics.block = message.block ?? state.statistics.block;
  } else if (type === "snapshot") {
    if (revision !== state.revision) {
      dirty = true;
      poller.retry();
    }
  } else if (type === "quotes") {
    state = withQuotes(state, message.quotes);
  } else if (revision > state.revision) {
    dirty = true;
    if (type === "order") state = withChange(state, message);
    else state = without(state, message.id);
    lines.took(message);
    if (message.reorg) poller.retry();
    if (one && one.order.id === (message.order?.id ?? message.id)) readOne();
  }
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    drawCounts();
    drawList();
    tick();
  });
}

/** One request a turn: the page's state, where the socket does not tell it; or the candles, when they are due. */
async function poll() {
  const whole = TOLD.includes(live.status) && !failure && !dirty && performance.now() - read < KEPT;
  if (!whole && !(lines.due && performance.now() - read < KEPT / 3)) return readState();
  if (lines.due) await lines.read();
}

async function readState() {
  const asked = turn;
  const wanted = parameters();
  wanted.delete("order");
  wanted.delete("tf");
  dirty = false;
  const fresh = await getJson(`${report.dataset.stateUrl}${wanted.size ? `?${wanted}` : ""}`).catch((error) => {
    dirty = true;
    throw error;
  });
  if (asked !== turn) return;
  const again = oneChanged(fresh);
  state = fresh;
  read = performance.now();
  failure = null;
  draw();
  if (again) await readOne();
}

/** Goes to another address of this page and shows it. */
async function go(address, push = true) {
  if (push) history.pushState(null, "", address);
  turn += 1;
  fill();
  poller.postpone();
  try {
    await readState();
    if (lines.due) await lines.read();
  } catch (error) {
    poller.retry();
    down(error, 1000);
  }
}

function fill() {
  const wanted = parameters();
  const status = wanted.get("status") ?? "all";
  for (const choice of filters.elements.status) choice.checked = choice.value === status;
  filters.elements.user.value = wanted.get("user") ?? "";
  const asked = new URLSearchParams({ dataset: "orders", ...(status !== "all" && { status }), ...(wanted.get("user") && { user: wanted.get("user") }) });
  for (const link of document.querySelectorAll("[data-format]")) link.href = `${report.dataset.exportUrl}?${asked}&format=${link.dataset.format}`;
}

filters.addEventListener("change", () => {
  const { status, user } = filters.elements;
  go(addressOf({ status: status.value === "all" ? "" : status.value, user: user.value.trim(), offset: "" }));
});
filters.addEventListener("submit", (event) => {
  event.preventDefault();
  filters.elements.user.blur(); // a changed text is told by it
});
document.getElementById("orders").addEventListener("click", (event) => {
  const link = event.target.closest("a[data-order]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  history.pushState(null, "", link.getAttribute("href"));
  readOne();
});
document.getElementById("close-one").addEventListener("click", () => {
  const id = one?.order.id;
  history.pushState(null, "", addressOf({ order: "" }));
  readOne();
  document.querySelector(`[data-order="${id}"]`)?.focus();
});
document.getElementById("newer").addEventListener("click", () => go(addressOf({ offset: Math.max(0, state.offset - state.limit) || "" })));
document.getElementById("older").addEventListener("click", () => go(addressOf({ offset: state.offset + state.limit })));
window.addEventListener("popstate", async () => {
  await go(location.href, false);
  await readOne();
});
document.getElementById("notice").querySelector("button").addEventListener("click", () => poller.retry());
document.addEventListener("preference", () => (draw(), drawOne()));
setInterval(tick, 1000);
fill();
draw();
if (parameters().get("order")) readOne();
poller.start();
live.follow();
if (lines.due) lines.read();
performance.mark("dex-drawn");
