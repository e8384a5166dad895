// Orders over their socket: every change of one, and how the scanner is.

import { KeptSocket } from "./kept_socket.js";

export class OrdersLive extends KeptSocket {
  /** `told(message)` hears of everything, `changed(status)` of every change of status; null without a connection. */
  constructor({ told, changed }) {
    super(changed);
    this.told = told;
  }

  /** Changes alone: the page has its orders already. */
  follow() {
    this.connect("/ws/orders?limit=0");
  }

  hear(message) {
    this.told(message);
    if (message.wsStatus) this.say(message.wsStatus);
  }
}

/** When an order came into its status, epoch milliseconds. */
export const changedAt = (order) => Date.parse(order.executed_at ?? order.cancelled_at ?? order.created_at);

/** The newest change first, as the server lists them. */
const newestFirst = (one, other) => changedAt(other) - changedAt(one) || other.id - one.id;

/** The page's state with one change in it. What a change alone cannot tell is read soon after. */
export function withChange(state, { event, order }) {
  const status = order.status.toLowerCase();
  const before = { OrderCreated: null, OrderExecuted: "pending", OrderCancelled: "pending" }[event];
  const statistics = { ...state.statistics };
  if (before !== undefined) {
    statistics[status] += 1;
    if (before) statistics[before] -= 1;
    else statistics.total += 1;
  }
  return { ...state, statistics, ...listWith(state, order, before, status) };
}

function listWith(state, order, before, status) {
  const mine = !state.user || state.user.toLowerCase() === order.user_address.toLowerCase();
  if (!mine || state.problem) return {};
  const fits = (word) => state.status === "all" || state.status === word;
  const total = state.total + (before === undefined ? 0 : Number(fits(status)) - Number(before !== null && fits(before)));
  const orders = state.orders.filter(({ id }) => id !== order.id);
  const here = orders.length < state.orders.length;
  if (fits(status) && (state.offset === 0 || here)) orders.push(order);
  return { total, orders: orders.sort(newestFirst).slice(0, state.limit) };
}

export function without(state, id) {
  return { ...state, orders: state.orders.filter((order) => order.id !== id) };
}

/** The page's state with the router's newest prices. */
export function withQuotes(state, quotes) {
  const news = new Map(quotes.map((quote) => [quote.id, quote]));
  const renewed = (order) => (news.has(order.id) && order.status === "PENDING" ? { ...order, ...news.get(order.id) } : order);
  return { ...state, orders: state.orders.map(renewed) };
}
