// Beside the analysis chart: trend with each rule's vote, signals with what they were worth, levels; and the legends.

import { keyOf } from "./analysis_candles.js";
import { element } from "./analysis_menu.js";
import { MARKS, clock, compact, fixed, percent, zoneName } from "./format.js";

const FEW = 30; // signals below which a rate says little
const YEAR = 31_536_000_000; // milliseconds
const byId = (id) => document.getElementById(id);

/** `analysis` as the API has it; null while it is not known, `problem` says why. */
export function showAnalysis({ analysis, problem, decimals, look }) {
  showTrend(analysis, problem);
  byId("signals").replaceChildren(...(analysis ? signalsOf(analysis, decimals, look) : []));
  byId("tested").textContent = analysis?.signals.length ? testedText(analysis) : "";
  byId("levels").replaceChildren(...(analysis ? levelsOf(analysis, decimals) : []));
  for (const id of ["levels", "signals"]) byId(id).closest("section").hidden = !analysis;
}

/** The stretch that the past of signals rests on. */
function testedText({ tested, testedFrom, testedTo, testedMissing }) {
  if (!tested) return "";
  const lacks = testedMissing ? `, ${fixed(testedMissing, 0)} incomplete` : "";
  const shape = testedTo - testedFrom < YEAR ? "day" : "month";
  return `Tested on ${fixed(tested, 0)} candles, ${clock(testedFrom, shape)} to ${clock(testedTo, shape)}${lacks}.`;
}

function showTrend(analysis, problem) {
  const trend = byId("trend");
  trend.dataset.trend = analysis?.trend ?? "";
  trend.textContent = analysis?.trend ?? "–";
  byId("strength").textContent = analysis ? `strength ${analysis.strength} of 100` : "";
  byId("trend-time").textContent = analysis ? `at the candle of ${clock(analysis.timestamp, "moment")} ${zoneName()}` : "";
  byId("votes").replaceChildren(...(analysis?.votes ?? []).map(voteOf));
  const lacks = [];
  if (analysis?.missing) lacks.push(`${analysis.missing} ${analysis.missing === 1 ? "is" : "are"} missing`);
  if (analysis?.incomplete) lacks.push(`${analysis.incomplete} ${analysis.incomplete === 1 ? "lacks" : "lack"} minutes`);
  const text = analysis ? `The mean of these votes over ${analysis.candles} closed candles${lacks.length ? `; ${lacks.join(", ")}` : ""}. No advice.` : problem;
  byId("trend-note").textContent = text;
  byId("trend-note").classList.toggle("careful", lacks.length > 0);
}

function voteOf({ rule, score, text }) {
  const row = element("tr");
  const name = element("th", rule);
  name.scope = "row";
  const bar = element("td");
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const attributes = { viewBox: "0 0 100 10", preserveAspectRatio: "none", class: "vote", "aria-hidden": "true" };
  for (const [key, value] of Object.entries(attributes)) svg.setAttribute(key, value);
  const rect = document.createElementNS(svg.namespaceURI, "rect");
  const width = Math.abs(score) * 50;
  for (const [key, value] of Object.entries({ x: score < 0 ? 50 - width : 50, y: 1, width, height: 8, class: score < 0 ? "fill-ask" : "fill-bid" })) rect.setAttribute(key, value);
  svg.append(rect);
  bar.append(svg);
  const number = element("td", `${score > 0 ? "+" : ""}${score.toFixed(2)}`);
  number.className = score > 0 ? "bid" : score < 0 ? "ask" : "";
  const words = element("td", text);
  words.className = "words";
  row.append(name, bar, number, words);
  return row;
}

// --- signals ---------------------------------------------------------------------------------------------------------

function signalsOf({ signals }, decimals, look) {
  if (!signals.length) return [element("p", "No rule gave a signal in the last 20 closed candles.")];
  return [...signals].reverse().map((signal) => signalOf(signal, decimals, look));
}

function signalOf({ type, title, reason, timestamp, price, past }, decimals, look) {
  const block = element("article");
  block.className = "signal";
  const head = element("button");
  head.type = "button";
  const side = element("b", type.toUpperCase());
  side.className = type === "buy" ? "bid" : "ask";
  head.append(side, ` ${title} · ${clock(timestamp, "moment")} ${zoneName()}`);
  head.addEventListener("click", () => look(timestamp / 1000));
  block.append(head, element("p", `${reason}, at ${fixed(price, decimals)}`), ...worthOf(title, past), pastTable(past));
  const least = Math.min(...past.map(({ count }) => count));
  if (past.length && least < FEW) block.append(careful(`Only ${least} past signals: too few to rely on.`));
  return block;
}

/** What the rule was worth, in a sentence: after the middle one of the horizons. */
function worthOf(title, past) {
  const { after, count, hitRate, meanMove } = past[Math.floor(past.length / 2)] ?? {};
  if (!count) return [element("p", "No past signal of this rule whose end is known.")];
  const times = `${fixed(count, 0)} ${count === 1 ? "time" : "times"}`;
  return [element("p", `${title}: ${times}, ${(hitRate * 100).toFixed(0)}% right after ${after} candles, mean ${percent(meanMove, 2)}%; no promise.`)];
}

function pastTable(past) {
  const table = element("table");
  table.className = "numbers";
  const head = element("tr");
  for (const text of ["After", "Signals", "Right", "Any candle", "Mean move", "Any candle"]) head.append(Object.assign(element("th", text), { scope: "col" }));
  const body = element("tbody");
  for (const { after, count, hitRate, baseRate, meanMove, baseMove } of past) {
    const row = element("tr");
    const share = (value) => (value === null ? "–" : `${(value * 100).toFixed(0)}%`);
    const move = (value) => (value === null ? "–" : `${percent(Math.abs(value) < 0.005 ? 0 : value, 2)}%`);
    for (const text of [`${after} candles`, count, share(hitRate), share(baseRate), move(meanMove), move(baseMove)]) row.append(element("td", text));
    body.append(row);
  }
  const top = element("thead");
  top.append(head);
  table.append(top, body);
  return table;
}

function careful(text) {
  return Object.assign(element("p", text), { className: "careful" });
}

// --- levels ----------------------------------------------------------------------------------------------------------

function levelsOf({ support_levels, resistance_levels, fibonacci_levels, pivot_points, volume_profile: profile, close }, decimals) {
  const volume = profile ? { "Most volume at": profile.poc, "Value area, top": profile.valueAreaHigh, "Value area, bottom": profile.valueAreaLow } : {};
  const rows = [
    ...[...resistance_levels].reverse().map((one) => ["Resistance", one.price, one.touches, one.strength, "ask"]),
    ...support_levels.map((one) => ["Support", one.price, one.touches, one.strength, "bid"]),
    ...Object.entries(fibonacci_levels).map(([name, price]) => [`Fibonacci ${name}%`, price, "", "", ""]),
    ...Object.entries(pivot_points ?? {}).map(([name, price]) => [name === "pivot" ? "Pivot of the last day" : name.toUpperCase(), price, "", "", ""]),
  ];
  for (const [name, price] of Object.entries(volume)) rows.push([name, price, "", "", ""]);
  return rows.map(([name, price, touches, strength, tone]) => {
    const row = element("tr");
    const title = Object.assign(element("th", name), { scope: "row", className: `words ${tone}` });
    const away = close ? `${percent((price / close - 1) * 100, 2)}%` : "–";
    row.append(title, ...[fixed(price, decimals), away, touches, strength].map((text) => element("td", text)));
    return row;
  });
}

// --- legends ---------------------------------------------------------------------------------------------------------

/** One legend a pane, with the values under the crosshair or the newest ones. `view` as the chart has it, with `choice`,
 * `time` (of the crosshair, or null) and `folded`: panes that the screen has no room for. */
export function showLegends(view) {
  const { chart, candles, time } = view;
  const shown = time === null ? candles.last : (candles.at(time) ?? { time });
  const blocks = chart.panes.map(({ top, parts }, i) => {
    const block = element("div");
    block.className = "legend";
    block.id = `legend-${i}`;
    block.append(...(i ? [] : priceLegend(view, shown)), ...named(parts, shown, view));
    return [block, top];
  });
  byId("legends").replaceChildren(...blocks.map(([block]) => block));
  for (const [block, top] of blocks) block.style.top = `${top + 5}px`;
  if (time === null) chart.clearOf(blocks.map(([{ offsetHeight }]) => offsetHeight && offsetHeight + 5));
}

function priceLegend({ choice, candles, decimals, analysis, folded }, candle) {
  const parts = [part(`${choice.symbol} ${choice.market} · ${choice.timeframe}`, "name")];
  if (folded) parts.push(part(`+${folded} more on a wider screen`, "name"));
  if (!candle) return parts;
  const when = part(`${clock(candle.time * 1000, "moment")} ${zoneName()}`, "name");
  if (candle.open === undefined) return [...parts, when, part(candle.time > (candles.last?.time ?? 0) ? "to come" : "no candle: missing", "careful")];
  const change = (candle.close / candle.open - 1) * 100;
  const tone = change >= 0 ? "bid" : "ask";
  for (const [name, key] of Object.entries({ O: "open", H: "high", L: "low", C: "close" })) parts.push(part(`${name} ${fixed(candle[key], decimals)}`, tone));
  parts.push(part(`${percent(change)}%`, tone), part(`Vol ${compact(candle.volume)} · ${candle.trades < 10000 ? fixed(candle.trades, 0) : compact(candle.trades)} trades`, "value"), when);
  if (candle.minutes < candle.expected) parts.push(part(`${candle.minutes} of ${candle.expected} min: incomplete`, "careful"));
  if (!candle.closed) parts.push(part("live, still open", "name"));
  const signals = (analysis?.signals ?? []).filter(({ timestamp }) => timestamp === candle.time * 1000);
  for (const { type, reason } of signals) parts.push(part(`${type.toUpperCase()}: ${reason}`, type === "buy" ? "bid" : "ask"));
  return parts;
}

/** Each indicator of a pane once, with its values. */
function named(parts, candle, view) {
  const specs = [...new Set(parts.map(({ spec }) => spec))].filter(({ label }) => label !== "volume");
  return specs.map((spec) => {
    if (spec.label === "depth") return depthLegend(view, candle);
    const block = element("span");
    const words = spec.label.split(":");
    const relative = spec.indicator.whole ? " from the first candle loaded" : "";
    block.append(part(`${TITLES[words[0]] ?? words[0].toUpperCase()} ${words.slice(1).join(" ")}${relative} `, "name"));
    const drawn = parts.filter((one) => one.spec === spec && one.line !== "cloud");
    for (const { line, series } of drawn) {
      const value = candle?.values?.[keyOf(spec.label, line)];
      const text = value == null ? "–" : spec.indicator.overlay ? fixed(value, view.decimals) : BOUNDED.has(spec.indicator.name) ? value.toFixed(2) : compact(value);
      const told = part(`${text} `, "value");
      const color = series.options().color;
      if (line !== "histogram") told.style.color = color;
      if (drawn.length > 1) block.append(part(`${line.replace("_", " ")} `, "line"));
      block.append(told);
    }
    return block;
  });
}

const TITLES = { bollinger: "Bollinger", bb: "Bollinger", ichimoku: "Ichimoku", stochastic: "Stochastic", stoch: "Stochastic", williams: "Williams %R", willr: "Williams %R" };
const BOUNDED = new Set(["rsi", "stochastic", "williams", "adx"]);

function depthLegend({ choice, depth, depthProblem, candles }, candle) {
  const block = element("span");
  const found = candle && depth.get(candle.time);
  block.append(part(`Depth DIFF ±${choice.depth}%, mean of the candle `, "name"));
  if (!found) {
    block.append(part(depthProblem || (depth.size || !candles.last ? "not collected" : "reading"), depthProblem ? "careful" : "name"));
    return block;
  }
  const { diff, percentage, quality } = found;
  const mark = MARKS[quality];
  block.append(part(`${mark}${compact(diff)}  ${mark}${percent(percentage, 1)}%`, quality === "unknown" ? "name" : diff >= 0 ? "bid" : "ask"));
  return block;
}

function part(text, kind) {
  const made = element(kind === "name" || kind === "line" ? "span" : "b", text);
  made.classList.add(kind);
  return made;
}
