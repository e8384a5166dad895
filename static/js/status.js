// The status page: every part of the platform, green, amber or red, and since when.

import { age, clock, compact, fixed, zoneName } from "./format.js";
import { announce, showPill } from "./frame.js";
import { showPast } from "./past.js";
import { showNotice, wordOf } from "./pill.js";
import { getJson, Poller } from "./poll.js";

const LEVELS = { healthy: "green", degraded: "amber", unhealthy: "red" };
const PILLS = { healthy: "live", degraded: "stale", unhealthy: "down" };
const TITLES = { database: "Database", redis: "Redis", collector: "Collector", worker: "Worker", beat: "Schedule", web: "Web", feed: "Live feed", events: "Trades and marks", scanner: "Scanner", spool: "Spool" };
const STATES = { whole: "whole", partial: "partial", missing: "missing", stopped: "switched off", idle: "nothing to collect", before: "not begun" };
const SVG = "http://www.w3.org/2000/svg";

const report = document.getElementById("report");
let state = JSON.parse(document.getElementById("state").textContent);
let read = performance.now();
let failure = null;
const poller = new Poller(poll, (error, delay) => down(error, delay));

const now = () => state.timestamp + performance.now() - read;
const ago = (moment) => (moment === null ? "–" : `${age(now() - moment)} ago`);
const exact = (moment) => (moment === null ? "" : `${clock(moment, "exact")} ${zoneName()}`);
const megabytes = (bytes) => fixed(bytes / 1048576, bytes < 104857600 ? 1 : 0);

function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) if (value !== "" && value != null) made.setAttribute(key, value);
  return made;
}

// --- parts ---------------------------------------------------------------------------------------------------------

function drawComponents() {
  const tiles = state.components.map((part) => {
    const tile = element("div", "", { class: "tile", "data-level": part.level, "data-tip": `${part.sinceExact ? "Since" : "Already so when first seen,"} ${exact(part.since)}${part.latency == null ? "" : `. Answers in ${part.latency.toFixed(1)} ms.`}` });
    const more = [part.processes > 1 && `${part.processes} processes`, part.batches && `${fixed(part.batches, 0)} batches wait`].filter(Boolean);
    const shape = now() - part.since < 64_800_000 ? "minute" : "moment";
    const since = `${part.sinceExact ? "since" : "seen since"} ${clock(part.since, shape)}, ${age(now() - part.since)}`;
    tile.append(element("span", "", { class: "lamp", "aria-hidden": "true" }), element("b", TITLES[part.name] ?? part.name), element("span", part.status, { class: "word" }));
    tile.append(element("small", [since, ...more].join(" · ")));
    return tile;
  });
  document.getElementById("components").replaceChildren(...tiles);
}

function facts(id, pairs) {
  const list = pairs.filter(Boolean).flatMap(([name, text, tip, level]) => [element("dt", name), element("dd", text, { "data-tip": tip, "data-level": level })]);
  document.getElementById(id).replaceChildren(...list);
}

function drawCollection() {
  const { collection } = state;
  const cycle = collection.lastCycle;
  const whole = cycle && cycle.stored >= cycle.expected;
  facts("collection", [
    ["Switched", collection.running ? "on" : "off", `by ${collection.changedBy}, ${exact(collection.changedAt)}`, collection.running ? "" : "amber"],
    ["Last minute", collection.lastMinute === null ? "none yet" : `${clock(collection.lastMinute, "minute")} ${zoneName()} · ${ago(collection.lastMinute)}`, exact(collection.lastMinute)],
    ["Series collected", collection.symbols === null ? "–" : fixed(collection.symbols, 0), "Symbols, each market's counted."],
    cycle && ["Last cycle", cycle.seconds === null ? "–" : `${cycle.seconds.toFixed(1)} s`, "From its first request to its end."],
    cycle && ["Books stored", `${fixed(cycle.stored, 0)} of ${fixed(cycle.expected, 0)}`, `${cycle.failed} failed, ${cycle.overrun} not read in time`, whole ? "" : "amber"],
    cycle && ["Network · maths · store", `${cycle.networkSeconds.toFixed(1)} · ${cycle.computeSeconds.toFixed(1)} · ${cycle.storeSeconds.toFixed(1)} s`, "Work of all its parts, added up; they run side by side."],
    cycle && ["Rows", fixed(cycle.rows, 0)],
    ["Requests failed", `${fixed(collection.failedRequests, 0)} of ${compactCount(collection.requests)}`, "Since the beginning."],
  ]);
}

const compactCount = (value) => (value < 10000 ? fixed(value, 0) : compact(value));

function drawBudget() {
  const bars = ["spot", "futures"].map((market) => {
    const { used, limit, blockedUntil } = state.weight[market];
    const share = limit ? Math.min(100, (used / limit) * 100) : 0;
    const blocked = blockedUntil !== null && blockedUntil > now();
    const line = element("div", "", { class: "use", "data-level": blocked ? "red" : share > 90 ? "amber" : "green" });
    const svg = document.createElementNS(SVG, "svg");
    for (const [key, value] of [["viewBox", "0 0 100 1"], ["preserveAspectRatio", "none"], ["aria-hidden", "true"]]) svg.setAttribute(key, value);
    const rect = document.createElementNS(SVG, "rect");
    rect.setAttribute("width", share.toFixed(2));
    rect.setAttribute("height", 1);
    svg.append(rect);
    line.append(element("b", market.toUpperCase()), element("span", `${fixed(used, 0)} of ${fixed(limit, 0)} · ${share.toFixed(0)}%`), svg);
    if (blocked) line.append(element("small", `The exchange told us to wait until ${clock(blockedUntil)} ${zoneName()}`));
    return line;
  });
  document.getElementById("budget").replaceChildren(...bars);
  const offset = (ms) => (ms === null ? "not measured" : `${ms > 0 ? "+" : ""}${fixed(ms, 0)} ms`);
  facts("clocks", state.clocks.map((one) => [`Clock of ${one.market}`, offset(one.offsetMs), `Exchange's clock minus ours, measured ${exact(one.checkedAt)}`, Math.abs(one.offsetMs ?? 0) > 1000 ? "amber" : ""]));
}

function drawStorage() {
  const { storage, past } = state;
  const name = { timescaledb: "TimescaleDB", postgresql: "PostgreSQL" }[storage.name] ?? "–";
  facts("storage", [
    ["Database", storage.timescaledb ? `TimescaleDB ${storage.timescaledb}` : name],
    ["PostgreSQL", storage.version],
    ["Size", `${megabytes(storage.bytes)} MB`],
    ["Oldest book", storage.oldest === null ? "none yet" : ago(storage.oldest), exact(storage.oldest)],
    ["Newest book", storage.newest === null ? "none yet" : ago(storage.newest), exact(storage.newest)],
    past && ["Simulated past", past.finishedAt === null ? `${fixed(past.done, 0)} of ${fixed(past.total, 0)} books` : `loaded ${ago(past.finishedAt)}`, `Everything before ${exact(past.until)}`],
  ]);
}

function drawCoverage() {
  const { coverage } = state;
  const share = coverage.expected ? (coverage.stored / coverage.expected) * 100 : 100;
  const text = share < 100 ? Math.min(share, 99.99).toFixed(2) : "100";
  document.getElementById("coverage-sum").textContent = coverage.expected
    ? `${text}% of ${compactCount(coverage.expected)} expected books · ${coverage.partialMinutes} partial and ${coverage.missingMinutes} missing minutes`
    : "nothing was to be collected";
  const cells = coverage.buckets.map((bucket) => {
    const lacking = bucket.missingMinutes ? `, ${bucket.missingMinutes} minutes missing` : "";
    const counted = bucket.expected ? `: ${bucket.stored} of ${bucket.expected} books${lacking}` : lacking;
    return element("i", "", { "data-state": bucket.state, "data-tip": `${clock(bucket.time, "moment")} ${zoneName()}, ${coverage.bucketMinutes} min, ${STATES[bucket.state]}${counted}` });
  });
  const strip = document.getElementById("strip");
  strip.replaceChildren(...cells);
  strip.setAttribute("role", "img");
  strip.setAttribute("aria-label", document.getElementById("coverage-sum").textContent);
}

/** Fills a table; `rows` are lists of [text, attributes]. */
function fill(id, rows, nothing) {
  const body = document.getElementById(id);
  const columns = body.closest("table").tHead.rows[0].cells;
  const made = rows.map((cells) => {
    const row = element("tr");
    row.append(...cells.map(([text, attributes = {}, link], i) => {
      const cell = element("td", link ? "" : text, { ...attributes, class: columns[i].className });
      if (link) cell.append(element("a", text, { href: link }));
      return cell;
    }));
    return row;
  });
  if (!made.length) {
    const row = element("tr", "", { class: "blank" });
    row.append(element("td", nothing, { colspan: columns.length }));
    made.push(row);
  }
  body.replaceChildren(...made);
}

const CONDITIONS = { connected: "", connecting: "amber", stale: "amber", disconnected: "red", off: "amber" };

/** Connections to the exchange and live books, of every feed. */
function drawFeed(chart) {
  const feeds = state.feed ?? [];
  const books = feeds.flatMap((one) => one.books);
  const right = books.filter((book) => book.status === "connected").length;
  const rate = feeds.reduce((sum, one) => sum + one.messagesPerSecond, 0);
  document.getElementById("feed-sum").textContent = feeds.length ? `${fixed(rate, 0)} messages/s` : "";
  document.getElementById("live-sum").textContent = books.length ? `${right} of ${books.length} synced` : "";
  fill("connections", feeds.flatMap((one) => one.connections).map((one) => [[one.id], [one.state, { "data-level": CONDITIONS[one.state], "data-tip": `Since ${exact(one.since)}` }], [fixed(one.streams, 0)], [fixed(one.silent, 0), { "data-level": one.silent ? "amber" : "" }], [fixed(one.messagesPerSecond, 0)], [`${fixed(one.uptimePercent, 2)}%`, { "data-level": one.uptimePercent < 99 ? "amber" : "" }], [fixed(one.reconnects, 0)]]), "No feed is running.");
  const audit = (one) => one.auditPercent == null ? ["–"] : [`${fixed(one.auditPercent, one.auditPercent === 100 ? 0 : 3)}%`, { "data-level": one.auditPercent < 100 ? "amber" : "", "data-tip": `Levels equal to the exchange's at ${exact(one.auditedAt)}` }];
  const reach = (value, levels) => [levels ? (value === null ? "whole" : `${fixed(value, 2)}%`) : "–", { "data-tip": `${fixed(levels, 0)} levels` }];
  fill("live-books", books.map((one) => [[`${one.symbol} ${one.market}`, {}, chart(one)], [one.status, { "data-level": CONDITIONS[one.status], "data-tip": one.since ? `Since ${exact(one.since)}` : "" }], [one.ageMs === null ? "–" : age(one.ageMs)], reach(one.bidPercent, one.bidLevels), reach(one.askPercent, one.askLevels), [fixed(one.resyncs, 0)], audit(one)]), "No order book is live.");
}

function drawTables() {
  const minutes = (gap) => fixed(Math.round((gap.to - gap.from) / 60000), 0);
  fill("gaps", state.gaps.map((gap) => [[clock(gap.from, "moment"), { "data-tip": `${exact(gap.from)} to ${exact(gap.to)}` }], [minutes(gap)], [gap.books === null ? "all" : fixed(gap.books, 0)], [`${STATES[gap.state]}${gap.cause === gap.state || gap.state === "stopped" ? "" : `: ${gap.cause}`}`, { "data-level": gap.state === "missing" ? "red" : "amber" }]]), "No minute is missing or partial.");
  const chart = (one) => `${report.dataset.chartsUrl}?${new URLSearchParams({ symbol: one.symbol, market: one.market })}`;
  fill("failing", state.failing.map((one) => [[`${one.symbol} ${one.market}`, {}, chart(one)], [fixed(one.minutes, 0)], [one.lastMinute === null ? "never" : ago(one.lastMinute), { "data-tip": exact(one.lastMinute) }], [one.error, { title: one.error }]]), "Every collected symbol is read.");
  drawFeed(chart);
  fill("processes", state.processes.map((one) => [[one.name], [one.host], [String(one.pid)], [one.cpuPercent.toFixed(1)], [megabytes(one.memoryBytes)], [age(now() - one.startedAt), { "data-tip": `Began ${exact(one.startedAt)}` }], [ago(one.lastTask), { "data-tip": exact(one.lastTask) }]]), "No sign of life can be read.");
  fill("events", state.events.map((one) => [[clock(one.time, "moment"), { "data-tip": exact(one.time) }], [one.type, { "data-level": /ERROR|FAILED|BANNED|REJECTED/.test(one.type) ? "red" : /PARTIAL|GAP|LIMITED|REFUSED|SKEW|DISCONNECTED/.test(one.type) ? "amber" : "" }], [[one.symbol, one.market].filter(Boolean).join(" ") || "–"], [one.message, { title: one.message }]]), "Nothing has happened that is worth a line.");
}

// --- the whole -----------------------------------------------------------------------------------------------------

function draw() {
  const verdict = document.getElementById("verdict");
  verdict.textContent = state.status;
  verdict.dataset.level = LEVELS[state.status];
  drawComponents();
  drawCollection();
  drawBudget();
  drawStorage();
  drawCoverage();
  for (const zone of document.querySelectorAll(".zone")) zone.textContent = zoneName();
  drawTables();
  showPast(state.past);
  tick();
}

function tick() {
  const { lastMinute, status } = state.collection;
  document.getElementById("read-at").textContent = `read ${age(now() - state.timestamp)} ago, ${clock(state.timestamp)} ${zoneName()}`;
  document.body.classList.toggle("stale", Boolean(failure));
  const list = state.components.map((part) => [TITLES[part.name] ?? part.name, part.status]);
  if (!failure) {
    showNotice("");
    const stopped = status === "stopped";
    const pill = stopped && state.status === "healthy" ? "stale" : PILLS[state.status];
    return showPill({ state: pill, word: stopped ? "STOPPED" : state.status.toUpperCase(), age: lastMinute === null ? "" : age(now() - lastMinute), facts: list });
  }
  const left = age(Math.max(0, failure.retryAt - performance.now()));
  const words = wordOf(failure);
  showNotice(`${words} This is how it was at ${clock(state.timestamp)} ${zoneName()}. Next try in ${left}.`, "wrong");
  showPill({ state: "down", word: "DOWN", age: `retry in ${left}`, facts: [["Server", words]] });
}

/** What is known of an outage while it lasts: the part that does not answer is red since the first failure. */
function down(error, delay) {
  const name = error.status === 503 ? "database" : "web";
  if (!failure) {
    const part = state.components.find((one) => one.name === name);
    Object.assign(part, { status: "unhealthy", level: "red", since: now(), sinceExact: true, latency: null });
    state.status = "unhealthy";
    announce(`${TITLES[name]} does not answer`);
  }
  failure = { status: error.status, retryAt: performance.now() + delay };
  const verdict = document.getElementById("verdict");
  verdict.textContent = "unhealthy";
  verdict.dataset.level = "red";
  drawComponents();
  tick();
}

async function poll() {
  const fresh = await getJson(report.dataset.statusUrl);
  if (fresh.status !== state.status) announce(`The platform is ${fresh.status}`);
  state = fresh;
  read = performance.now();
  failure = null;
  draw();
}

document.getElementById("notice").querySelector("button").addEventListener("click", () => poller.retry());
document.addEventListener("preference", draw);
setInterval(tick, 1000);
draw();
poller.start();
performance.mark("status-drawn");
