// The DEX page: orders, filters that stand in the address, one order with its history.

import { age, clock, fixed, percent, zoneName } from "./format.js";
import { announce, showPill } from "./frame.js";
import { getJson, Poller } from "./poll.js";

const PILLS = { healthy: "live", degraded: "stale", unhealthy: "down", off: "stale", unknown: "down" };
const WORDS = { healthy: "LIVE", degraded: "BEHIND", unhealthy: "STOPPED", off: "NO CHAIN", unknown: "UNKNOWN" };
const REASONS = { order_exists: "the order was there already", unknown_order: "no such order", not_pending: "the order had ended before", other_user: "it names another owner", incomplete_event: "it says too little" };

const report = document.getElementById("report");
const filters = document.getElementById("filters");
let state = JSON.parse(document.getElementById("state").textContent);
let read = performance.now();
let failure = null;
let one = null; // the order that is shown, with its events
let missing = ""; // what is wrong with the order that the address names
let turn = 0; // of the address: answers to an older one are dropped
const poller = new Poller(poll, (error, delay) => down(error, delay));

const now = () => state.timestamp + performance.now() - read;
const short = (text) => `${text.slice(0, 6)}…${text.slice(-4)}`;
const exact = (moment) => `${clock(moment, "exact")} ${zoneName()}`;
const parameters = () => new URLSearchParams(location.search);

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) if (value !== "" && value != null) made.setAttribute(key, value);
  return made;
}

/** An exact amount as text, its whole part in groups; six decimals at most, the rest in the tip. */
function amount(text) {
  const [whole, part = ""] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part.slice(0, 6)}` : "");
}

const symbol = (order, side) => order[`token_${side}_symbol`] || short(order[`token_${side}`]);
const sold = (order) => (order.amount_in === null ? `${order.amount_in_raw} raw` : amount(order.amount_in));

function addressOf(change) {
  const wanted = parameters();
  for (const [name, value] of Object.entries(change)) {
    if (value === "" || value === null) wanted.delete(name);
    else wanted.set(name, value);
  }
  return `${location.pathname}${wanted.size ? `?${wanted}` : ""}`;
}

// --- the list ------------------------------------------------------------------------------------------------------

function row(order) {
  const changed = Date.parse(order.executed_at ?? order.cancelled_at ?? order.created_at);
  const line = element("tr", "", { "aria-current": one?.order.id === order.id ? "true" : null });
  const link = element("a", `#${order.id}`, { href: addressOf({ order: order.id }), "data-order": order.id });
  const number = element("td");
  number.append(link);
  const cells = [
    element("td", order.status, { class: `words status-${order.status}` }),
    element("td", order.order_type, { class: "words" }),
    element("td", `${sold(order)} ${symbol(order, "in")}`, { "data-tip": order.amount_in ?? "The token does not tell its decimals." }),
    element("td", symbol(order, "out"), { class: "words", "data-name": "for" }),
    element("td", amount(order.target_price), { "data-tip": order.target_price, "data-name": "target" }),
    element("td", order.current_price === null ? "" : amount(order.current_price), { "data-name": "now", "data-tip": order.quoted_at && `Asked ${exact(Date.parse(order.quoted_at))}` }),
    element("td", order.distance_percent === null ? "" : percent(order.distance_percent), { "data-name": "to target %" }),
    element("td", order.amount_out === null ? "" : amount(order.amount_out), { "data-tip": order.amount_out, "data-name": "brought" }),
    element("td", short(order.user_address), { class: "words", "data-tip": order.user_address }),
    element("td", age(now() - changed), { "data-tip": exact(changed), "data-moment": changed }),
  ];
  line.append(number, ...cells);
  return line;
}

function blank(text, columns) {
  const line = element("tr", "", { class: "blank" });
  line.append(element("td", text, { colspan: columns }));
  return line;
}

function emptyWords() {
  if (state.scanner.status === "off" && !state.statistics.total) return "No chain is configured: WEB3_PROVIDERS and TRADING_ADDRESS switch it on.";
  return state.status === "all" && !state.user ? "No orders yet. They appear here once their block is confirmed." : "No orders like these. Choose another status or user.";
}

function drawList() {
  const focused = document.activeElement?.dataset?.order;
  const rows = state.orders.map(row);
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
  const rows = state.statistics.volumes.map((volume) => {
    const line = element("tr");
    const told = (text) => (text === null ? "–" : amount(text));
    line.append(
      element("td", volume.symbol || short(volume.token), { class: "words", "data-tip": volume.token }),
      element("td", fixed(volume.orders, 0), { "data-name": "orders" }),
      element("td", told(volume.amount_in), { "data-name": "amount" }),
      element("td", fixed(volume.executed_orders, 0), { "data-name": "executed" }),
      element("td", told(volume.executed_amount_in), { "data-name": "executed amount" }),
    );
    return line;
  });
  document.getElementById("volumes").replaceChildren(...(rows.length ? rows : [blank("Nothing was sold yet.", 5)]));
}

// --- one order -----------------------------------------------------------------------------------------------------

function happened(event) {
  const item = element("li", "", { class: event.orphaned ? "orphaned" : event.anomaly ? "refused" : null });
  const words = event.orphaned ? "no longer part of the chain" : event.anomaly ? `refused: ${REASONS[event.anomaly] ?? event.anomaly}` : `${event.old_status ?? "nothing"} → ${event.new_status}`;
  item.append(element("b", event.event_type), element("span", ` ${words}`), element("small", `${exact(event.timestamp)} · block ${fixed(event.block_number, 0)} · ${short(event.tx_hash)}`, { "data-tip": event.tx_hash }));
  return item;
}

function drawOne() {
  document.getElementById("one").hidden = one === null;
  if (one === null) return;
  const { order, events } = one;
  document.getElementById("one-title").textContent = `Order #${order.id}`;
  const facts = [
    ["Status", order.status],
    ["Type", `${order.order_type}: ${order.order_type === "STOP" ? "at the target or below" : "at the target or above"}`],
    ["Sells", `${order.amount_in ?? `${order.amount_in_raw} raw`} ${symbol(order, "in")}`],
    ["For", symbol(order, "out")],
    ["Target price", order.target_price],
    order.current_price !== null && ["Router now", `${order.current_price} (${percent(order.distance_percent ?? 0)}% to go)`],
    order.amount_out !== null && ["Brought", `${order.amount_out} ${symbol(order, "out")}`],
    ["Created", exact(Date.parse(order.created_at))],
    order.executed_at && ["Executed", exact(Date.parse(order.executed_at))],
    order.cancelled_at && ["Cancelled", exact(Date.parse(order.cancelled_at))],
    ["User", order.user_address],
    ["Transaction", order.tx_hash],
  ].filter(Boolean);
  document.getElementById("one-facts").replaceChildren(...facts.flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
  document.getElementById("history").replaceChildren(...events.map(happened));
}

/** Reads the order that the address names, with its history; one request follows the other. */
async function readOne() {
  const id = parameters().get("order");
  missing = "";
  if (!id) one = null;
  else {
    const address = `${report.dataset.ordersUrl}${encodeURIComponent(id)}`;
    try {
      one = { order: await getJson(address), events: (await getJson(`${address}/events`)).events };
    } catch (error) {
      one = null;
      missing = error.status === 404 || error.status === 400 ? `There is no order ${id}.` : "The order cannot be read now.";
    }
  }
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
  tick();
}

function tick() {
  const { status, lag } = state.scanner;
  const { block } = state.statistics;
  const told = block === null ? "" : `up to block ${fixed(block, 0)}, `;
  document.getElementById("read-at").textContent = `${told}read ${age(now() - state.timestamp)} ago`;
  for (const cell of document.querySelectorAll("[data-moment]")) cell.textContent = age(now() - Number(cell.dataset.moment));
  document.body.classList.toggle("stale", Boolean(failure));
  const notice = document.getElementById("notice");
  notice.hidden = !failure;
  if (!failure) {
    const facts = [["Scanner", status], ["Blocks behind", lag === null ? "–" : fixed(lag, 0)], ["Block", block === null ? "–" : fixed(block, 0)], ["Reorganisations", fixed(state.statistics.reorgs, 0)]];
    return showPill({ state: PILLS[status], word: WORDS[status], age: lag ? `${fixed(lag, 0)} blocks` : "", facts });
  }
  const left = age(Math.max(0, failure.retryAt - performance.now()));
  const words = failure.status === 503 ? "The database does not answer." : "The server does not answer.";
  notice.dataset.tone = "wrong";
  notice.querySelector("span").textContent = `${words} This is how it was at ${clock(state.timestamp)} ${zoneName()}. Next try in ${left}.`;
  showPill({ state: "down", word: "DOWN", age: `retry in ${left}`, facts: [["Server", words]] });
}

function down(error, delay) {
  if (!failure) announce("The server does not answer");
  failure = { status: error.status, retryAt: performance.now() + delay };
  tick();
}

async function poll() {
  const asked = turn;
  const wanted = parameters();
  wanted.delete("order");
  const fresh = await getJson(`${report.dataset.stateUrl}${wanted.size ? `?${wanted}` : ""}`);
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
    await poll();
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
performance.mark("dex-drawn");
