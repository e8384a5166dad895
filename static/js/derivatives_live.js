// Trades over their socket, as they come.

import { KeptSocket } from "./kept_socket.js";

export class LiveTrades extends KeptSocket {
  /** `traded(message)` hears of every snapshot and batch of trades, `changed(status)` of every change: connected, stale,
   * disconnected, off, connecting; null while there is no connection. */
  constructor({ traded, changed }) {
    super(changed);
    this.traded = traded;
  }

  watch(symbol, market, least) {
    this.connect(`/ws?${new URLSearchParams({ type: "trades", symbol, market, minNotional: least })}`);
  }

  hear(message) {
    if (message.wsStatus) this.say(message.wsStatus);
    if (message.type === "snapshot" || message.type === "trades") this.traded(message);
  }
}
