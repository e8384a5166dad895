// The lines at the top left of the panes: what is drawn, where it comes from, and its values under the crosshair.

import { wholeInterest } from "./derivatives_chart.js";
import { clock, compact, fixed, percent, zoneName } from "./format.js";

const byId = (id) => document.getElementById(id);
const LATE = 30; // seconds after a step in which the next one may begin
const SOURCES = { candles: "from candles", trades: "from trades" };

function part(text, kind) {
  const made = document.createElement(kind.startsWith("name") ? "span" : "b");
  made.className = kind;
  made.textContent = text;
  return made;
}

/** `view`: {state, contract, chart, time (of the crosshair, or null), now (epoch s), folded}. */
export function showLegends(view) {
  const { contract, chart, time } = view;
  const points = contract.sorted;
  const find = (name) => (time === null ? points.findLast((point) => point[name] !== null) : contract.points.get(time));
  const blocks = [price(view, find("mark")), flow(view, time ?? points.at(-1)?.time), interest(view, find("interest")), funding(view, find("rate"))];
  const tops = chart.tops;
  byId("legends").replaceChildren(
    ...blocks.slice(0, tops.length).map((parts, i) => {
      const block = document.createElement("div");
      block.className = "legend";
      block.id = `legend-${i}`;
      block.append(...parts);
      block.style.top = `${tops[i] + 5}px`;
      return block;
    }),
  );
  if (time === null) chart.clearOf([...byId("legends").children].map(({ offsetHeight }) => offsetHeight && offsetHeight + 5));
}

/** The mark price against its index, in percent; the exchange tells an index of 0 where it has none. */
export function basis({ mark, price = mark, index }) {
  return index ? `${percent((price / index - 1) * 100, 3)}%` : "–";
}

const stepText = (seconds) => (seconds < 3600 ? `${seconds / 60} min` : `${seconds / 3600} h`);
const when = ({ time }) => part(`${clock(time * 1000, "moment")} ${zoneName()}`, "name");

function price({ state, contract, now, time }, point) {
  const parts = [part(`${state.symbol} mark price · ${stepText(contract.step)}`, "name")];
  if (!point) return [...parts, part("nothing kept", "careful")];
  if (point.mark === null) parts.push(part(absence(contract, "mark", point, now, "no mark price came"), "careful"));
  else parts.push(part(fixed(point.mark, state.decimals), "value"), part(`index ${fixed(point.index, state.decimals)}`, "name wide"), part(`basis ${basis(point)}`, "name"));
  const sides = contract.liquidated.get(time ?? NaN);
  for (const [side, tone] of [["long", "ask"], ["short", "bid"]]) {
    const one = sides?.[side];
    if (one) parts.push(part(`${side}s liquidated ≥ ${compact(one.notional)} (${one.count}, largest ${compact(one.largest)})`, tone));
  }
  if (time === null) parts.push(...liquidatedInView(contract, state));
  return [...parts, when(point)];
}

/** Why a step has none. */
function absence(contract, name, point, now, words) {
  if (point.time + contract.step > now) return "none yet in this step";
  const first = contract.since(name);
  return first !== null && point.time < first ? "nothing kept yet at this time" : words;
}

function liquidatedInView(contract, state) {
  if (!state.liquidations) return [part("liquidations are not taken", "careful")];
  const sum = (side) => [...contract.liquidated.values()].reduce((total, sides) => total + (sides[side]?.notional ?? 0), 0);
  const told = part("liquidated, a sample:", "name");
  told.dataset.tip = "The exchange tells at most the largest liquidation of a symbol and second: sums are at least this much.";
  return [told, part(`longs ≥ ${compact(sum("long"))}`, "ask"), part(`shorts ≥ ${compact(sum("short"))}`, "bid")];
}

function flow({ state, contract }, time) {
  const parts = [part(`CVD, ${state.quote} since ${clock(state.first * 1000, "moment")}`, "name")];
  for (const [market, { rows, source }] of Object.entries(contract.flow)) {
    const sums = contract.cvd(market);
    const at = sums.get(time) ?? (time === contract.sorted.at(-1)?.time ? [...sums.values()].at(-1) : null);
    parts.push(part(`${market} ${SOURCES[source]}`, `name flow-${market}`));
    if (rows === null) parts.push(part("reading", "name"));
    else if (!rows.length) parts.push(part("no trades kept", "careful"));
    else if (!at) parts.push(part(time < rows[0].time ? "nothing kept yet at this time" : "trades are missing", "careful"));
    else {
      parts.push(part(`${at.exact ? "" : "~ "}${at.value >= 0 ? "+" : ""}${compact(at.value)}`, at.value >= 0 ? "bid" : "ask"));
      parts.push(part(`bought ${compact(at.bought)} sold ${compact(at.sold)}`, "name wide"));
      if (!at.whole) parts.push(part("trades are missing here", "careful"));
      else if (!at.exact) parts.push(part("trades are missing before", "careful"));
    }
  }
  return parts;
}

function interest(view, point) {
  const { state, contract } = view;
  const parts = [part(`Open interest, ${state.base}`, "name")];
  if (!point || point.interest === null) return [...parts, part(point ? absence(contract, "interest", point, view.now, "not had in time") : "nothing kept", "careful")];
  parts.push(part(compact(point.interest), "value interest"), part(point.value === null ? "" : `${compact(point.value)} ${state.quote}`, "name"));
  if (!wholeInterest(point, view)) parts.push(part(`${point.minutes} of ${contract.expected.minutes} min`, "careful"));
  return parts;
}

function funding({ contract, now }, point) {
  const parts = [part("Funding rate, heading for the next payment", "name")];
  if (!point || point.rate === null) return [...parts, part(point ? absence(contract, "rate", point, now, "not told") : "nothing kept", "careful")];
  parts.push(part(`${percent(point.rate * 100, 4)}%`, point.rate >= 0 ? "bid" : "ask"));
  if (point.due) parts.push(part(`paid ${clock(point.due * 1000, "moment")} ${zoneName()}`, "name"));
  const open = contract.sorted.at(-1);
  if (open === point && point.time + contract.step + LATE <= now) parts.push(part("old", "careful"));
  return parts;
}
