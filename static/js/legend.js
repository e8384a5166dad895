// The lines at the top left of the panes: what is drawn, and its values under the crosshair or at the end.

import { MARKS, clock, compact, percent, zoneName } from "./format.js";

function part(text, kind) {
  const element = document.createElement(kind === "value" ? "b" : "span");
  element.className = kind ?? "";
  element.textContent = text;
  return element;
}

const STEPS = { 60: "1 min", 3600: "1 h average", 86400: "1 day average" };

export function showLegend(view) {
  const { chart, choice, state, point, other } = view;
  const lines = document.getElementById("legend-lines");
  const below = document.getElementById("legend-diff");
  const shown = point ?? chart.points.findLast((candidate) => candidate.bid !== undefined) ?? null;
  const unit = state[choice.unit];
  const title = part(`${state.symbol} ${state.market}${other ? ` and ${state.otherMarket}` : ""} ±${state.depth}% · ${unit} · ${STEPS[state.step]}`, "name");
  const when = shown ? [part(`${clock(shown.time * 1000, "moment")} ${zoneName()}${shown.live ? " · live, still open" : ""}`, "name")] : [];
  const values = shown ? markets(view, shown) : [];
  const absent = choice.compare && !other ? [part(`${state.symbol} is not collected on the other market`, "careful")] : [];
  lines.replaceChildren(title, ...values, ...absent, ...when);
  const [, top] = chart.tops;
  below.hidden = top === undefined;
  if (!below.hidden) {
    below.style.top = `${top + 4}px`;
    below.replaceChildren(part(`DIFF ${unit}`, "name"), ...(shown ? figures(view, shown).flatMap(({ of, name, kind }) => (of ? [...name, ...diffOf(of, kind)] : [])) : []));
  }
  if (!point) chart.clearOf([bottom(lines), bottom(below)]);
}

const bottom = ({ offsetHeight }) => offsetHeight && offsetHeight + 6;

/** Each market's figures at a point; named, with the stroke that it is drawn with, where there are two. */
function figures({ state, other }, shown) {
  const own = shown.bid === undefined ? null : shown;
  if (!other) return [{ of: own, market: state.market, name: [], kind: "" }];
  return [
    { of: own, market: state.market, name: [stroke(state.market, "thick")], kind: "" },
    { of: shown.other ?? null, market: state.otherMarket, name: [stroke(state.otherMarket, "thin")], kind: "other-" },
  ];
}

function stroke(market, width) {
  const element = part(market, "stroke");
  element.classList.add(width);
  return element;
}

function markets(view, shown) {
  return figures(view, shown).flatMap(({ of, market, name, kind }) => [...name, ...(of ? valuesOf(of, kind, view) : [missing(shown, market, view)])]);
}

function valuesOf(point, kind, { choice, state, freshness, liquidity }) {
  const value = (name) => {
    const element = part(`${name.toUpperCase()} ${point[`${name}Complete`] ? "" : MARKS.least}${compact(point[name])}`, "value");
    element.classList.add(kind + name);
    return element;
  };
  const { side } = choice;
  const values = side === "diff" ? diffOf(point, kind) : side === "both" ? [value("bid"), value("ask")] : [value(side)];
  const now = freshness.serverNow() / 1000;
  const expected = Math.floor(liquidity.expected(point.time, now));
  if (state.step > 60 && point.time + state.step > now) values.push(part("still open", "name"));
  if (state.step > 60 && point.minutes < expected) values.push(part(`${point.minutes} of ${expected} min`, "careful"));
  return values;
}

function diffOf(point, kind) {
  const share = (point.diff / (point.bid + point.ask || 1)) * 100;
  const mark = MARKS[point.quality];
  const element = part(`${mark}${compact(point.diff)}  ${mark}${percent(share, 1)}%`, "value");
  element.classList.add(point.quality === "unknown" ? "name" : kind ? `${kind}diff` : point.diff >= 0 ? "bid" : "ask");
  return [element];
}

function missing(point, market, { state, liquidity, other, freshness }) {
  if (point.live) return part("open minute", "name");
  const { first } = market === state.market ? liquidity : other;
  if (first !== null && point.time < first) return part("nothing kept yet at this time", "careful");
  const cause = freshness.causeAt(point.time, market);
  return part(`${state.step === 60 ? "not collected" : "no minute collected"}${cause ? `: ${cause}` : ""}`, "careful");
}
