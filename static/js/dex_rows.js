// Rows and facts of the DEX page: orders, sold tokens, what has happened to one order.

import { changedAt } from "./dex_live.js";
import { age, clock, fixed, percent, zoneName } from "./format.js";

const REASONS = { order_exists: "the order was there already", unknown_order: "no such order", not_pending: "the order had ended before", other_user: "it names another owner", incomplete_event: "it says too little" };

export const short = (text) => `${text.slice(0, 6)}…${text.slice(-4)}`;
export const exact = (moment) => `${clock(moment, "exact")} ${zoneName()}`;

export function element(name, text = "", attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) if (value !== "" && value != null) made.setAttribute(key, value);
  return made;
}

/** An exact amount as text, its whole part in groups; six decimals at most (of less than one: six digits that count),
 * the rest in the tip. */
export function amount(text) {
  const [whole, part = ""] = text.split(".");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (part ? `.${part.slice(0, whole === "0" ? part.search(/[1-9]|$/) + 6 : 6)}` : "");
}

export const symbol = (order, side) => order[`token_${side}_symbol`] || short(order[`token_${side}`]);
export const sold = (order) => (order.amount_in === null ? `${order.amount_in_raw} raw` : amount(order.amount_in));

/** `address` of the order's own page; `now` in epoch milliseconds. */
export function row(order, address, now, isShown) {
  const changed = changedAt(order);
  const line = element("tr", "", { "aria-current": isShown ? "true" : null });
  const link = element("a", `#${order.id}`, { href: address, "data-order": order.id });
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
    element("td", age(now - changed), { "data-tip": exact(changed), "data-moment": changed }),
  ];
  line.append(number, ...cells);
  return line;
}

export function blank(text, columns) {
  const line = element("tr", "", { class: "blank" });
  line.append(element("td", text, { colspan: columns }));
  return line;
}

const explorer = document.getElementById("report").dataset.explorer;

/** Something of the chain, with its place in the explorer where there is one; `kind` is block, tx or address. */
function linked(text, kind, what, attributes = {}) {
  return explorer ? element("a", text, { href: `${explorer}/${kind}/${what}`, rel: "noopener", target: "_blank", ...attributes }) : element("span", text, attributes);
}

export function happened(event) {
  const item = element("li", "", { class: event.orphaned ? "orphaned" : event.anomaly ? "refused" : null });
  const words = event.orphaned ? "no longer part of the chain" : event.anomaly ? `refused: ${REASONS[event.anomaly] ?? event.anomaly}` : `${event.old_status ?? "nothing"} → ${event.new_status}`;
  item.append(element("b", event.event_type), element("span", ` ${words}`), place(event));
  return item;
}

function place(event) {
  const small = element("small", `${exact(event.timestamp)} · `);
  const block = linked(`block ${fixed(event.block_number, 0)}`, "block", event.block_number, { "data-tip": event.block_hash });
  small.append(block, " · ", linked(short(event.tx_hash), "tx", event.tx_hash, { "data-tip": event.tx_hash }));
  return small;
}

export function volumeRow(volume) {
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
}

/** Name and text (or element) of what is known of one order. */
export function factsOf(order) {
  return [
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
    ["User", linked(order.user_address, "address", order.user_address)],
    ["Transaction", linked(order.tx_hash, "tx", order.tx_hash)],
  ].filter(Boolean);
}
