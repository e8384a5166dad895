// Hourly candles with indicators, one symbol: node chart_data_socket.mjs [host:port] [symbol] [messages]
import { messages, symbol } from "./connection.mjs";

const wanted = { action: "subscribe", symbol, timeframe: "1h", indicators: ["ema:50", "rsi", "macd"] };
messages("/ws/chart-data", (message) => {
  const { data } = message;
  if (message.type === "price_update") {
    console.log(`${message.symbol} ${message.timeframe} ${data.close} ${data.closed ? "closed" : data.live ? "live" : "NOT LIVE"}`);
  } else if (message.type === "indicator_update") console.log(`  ${message.indicator}:`, data.value);
  else console.log(message);
}, wanted);
