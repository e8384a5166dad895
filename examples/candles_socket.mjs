// Live five-minute candles of one symbol: node candles_socket.mjs [host:port] [symbol] [messages]
import { messages, symbol } from "./connection.mjs";

messages(`/ws?symbol=${symbol}&timeframe=5&type=candles`, (candle) => {
  if (candle.type !== "candles") return console.log(candle);
  const state = candle.closed ? "closed" : candle.live ? "open" : "NOT LIVE";
  const opened = new Date(candle.timestamp).toISOString().slice(11, 16);
  console.log(`${candle.symbol} ${opened} O ${candle.open} H ${candle.high} L ${candle.low} C ${candle.close} V ${candle.volume} ${state}`);
});
