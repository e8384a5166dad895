// The lines at the top left of the panes: what is drawn, and its values under the crosshair or at the end.

import { MARKS, clock, compact, percent, zoneName } from "./format.js";

function part(text, kind) {
  const element = document.createElement(kind === "value" ? "b" : "span");
  element.className = kind ?? "";
  element.textContent = text;
  return element;
}

export function showLegend({ chart, choice, state, point, liquidity, freshness }) {
  const lines = document.getElementById("legend-lines");
  const below = document.getElementById("legend-diff");
  const shown = point ?? chart.points.findLast((candidate) => candidate.bid !== undefined) ?? null;
  const unit = state[choice.unit];
  const title = part(`${state.symbol} ${state.market} ±${state.depth}% · ${unit} · ${state.step === 60 ? "1 min" : "1 h average"}`, "name");
  const when = shown ? [part(`${clock(shown.time * 1000, "moment")} ${zoneName()}`, "name")] : [];
  const values = shown ? valuesOf(shown, choice.side, liquidity, freshness, state) : [];
  lines.replaceChildren(title, ...values, ...when);
  const top = chart.secondPaneTop;
  below.hidden = top === null;
  if (top === null) return;
  below.style.top = `${top + 4}px`;
  below.replaceChildren(part(`DIFF ${unit}`, "name"), ...(shown?.bid === undefined ? [] : diffOf(shown)));
}

function valuesOf(point, side, liquidity, freshness, state) {
  if (point.bid === undefined) return [missing(point, liquidity, freshness, state)];
  const value = (name) => {
    const element = part(`${name.toUpperCase()} ${point[`${name}Complete`] ? "" : MARKS.least}${compact(point[name])}`, "value");
    element.classList.add(name);
    return element;
  };
  if (side === "diff") return diffOf(point);
  return side === "both" ? [value("bid"), value("ask")] : [value(side)];
}

function diffOf(point) {
  const share = (point.diff / (point.bid + point.ask || 1)) * 100;
  const mark = MARKS[point.quality];
  const element = part(`${mark}${compact(point.diff)}  ${mark}${percent(share, 1)}%`, "value");
  element.classList.add(point.quality === "unknown" ? "name" : point.diff >= 0 ? "bid" : "ask");
  return [element];
}

function missing(point, liquidity, freshness, state) {
  if (liquidity.first !== null && point.time < liquidity.first) return part("nothing kept yet at this time", "careful");
  const cause = freshness.causeAt(point.time);
  return part(`${state.step === 60 ? "not collected" : "no minute collected"}${cause ? `: ${cause}` : ""}`, "careful");
}
