// The alert centre: new alerts on top as they come, each with how true its value is.

import { age, clock, compact, fixed, zoneName } from "./format.js";
import { showNotice, wordOf } from "./pill.js";
import { getJson, Poller } from "./poll.js";

const root = document.getElementById("alerts");
let state = JSON.parse(document.getElementById("state").textContent);
let readAt = Date.now();
let failure = null;
const poller = new Poller(poll, (error, delay) => { failure = { status: error.status, retryAt: performance.now() + delay }; tick(); });

// What is typed but not asked for yet is not what the list shows.
const chosen = new URLSearchParams([...new FormData(document.querySelector(".choose"))].filter(([, value]) => value));
const whole = chosen.size === 0;
chosen.set("limit", "100");

function cell(text, attributes = {}) {
  const made = document.createElement("td");
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) if (value !== "" && value != null) made.setAttribute(key, value);
  return made;
}

const shown = (value) => (Math.abs(value) >= 10000 ? compact(value) : fixed(value, Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : 2));

function where(row) {
  if (!row.symbol || !row.marketType) return cell(row.subject, { class: "words" });
  const made = cell("", { class: "words" });
  const link = document.createElement("a");
  link.href = `${root.dataset.chartsUrl}?${new URLSearchParams({ symbol: row.symbol, market: row.marketType })}`;
  link.textContent = row.subject;
  made.append(link);
  return made;
}

function draw() {
  const rows = state.data.map((row) => {
    const line = document.createElement("tr");
    const back = row.resolvedAt === null ? cell("–", { "data-name": "came back", "data-tip": "Not seen to have come back" }) : cell(`after ${age(row.resolvedAt - row.timestamp)}`, { "data-name": "came back", "data-tip": `${clock(row.resolvedAt, "exact")} ${zoneName()}` });
    line.append(
      cell(clock(row.timestamp, "moment"), { "data-tip": `${clock(row.timestamp, "exact")} ${zoneName()}` }),
      where(row),
      cell(shown(row.value), { class: "bound", "data-name": "value", "data-unit": row.unit, "data-bound": row.bound, "data-tip": { at_least: "At least: not all of it is known", at_most: "At most: not all of it is known" }[row.bound] }),
      cell(row.unit, { class: "words unit-of" }),
      cell(shown(row.threshold), { "data-name": "limit" }),
      back,
      cell(row.rule, { class: "words", title: row.message }),
    );
    return line;
  });
  if (!rows.length) {
    const line = document.createElement("tr");
    line.className = "blank";
    line.append(cell("Nothing was seen. What is watched stands below.", { colspan: 7 }));
    rows.push(line);
  }
  document.getElementById("seen").replaceChildren(...rows);
  for (const moment of document.querySelectorAll("time.moment")) {
    moment.textContent = `${age(Date.now() - moment.dataset.time * 1000)} ago`;
    moment.title = `${clock(moment.dataset.time * 1000, "exact")} ${zoneName()}`;
  }
}

async function poll() {
  state = await getJson(`${root.dataset.alertsUrl}?${chosen}`);
  if (whole) document.dispatchEvent(new CustomEvent("alerts-read", { detail: state.data }));
  readAt = Date.now();
  failure = null;
  draw();
  tick();
}

function tick() {
  document.getElementById("read-at").textContent = `read ${age(Date.now() - readAt)} ago, times ${zoneName()}`;
  document.body.classList.toggle("stale", Boolean(failure));
  if (!failure) return showNotice("");
  showNotice(`${wordOf(failure)} This list is ${age(Date.now() - readAt)} old. Next try in ${age(Math.max(0, failure.retryAt - performance.now()))}.`, "wrong");
}

document.querySelector("#notice button").addEventListener("click", () => poller.retry());
document.addEventListener("preference", draw);
setInterval(tick, 1000);
draw();
tick();
poller.start();
performance.mark("alerts-drawn");
