// The REST API in a few questions: node rest_api.mjs [host:port] [symbol]
const [host = "localhost:8000", symbol = "BTCUSDT"] = process.argv.slice(2);

/** An answer's body. A refusal says why; 429 and 503 say when to come again. */
async function get(resource, asked = {}) {
  const answer = await fetch(`http://${host}/api/v1/${resource}?${new URLSearchParams(asked)}`);
  const body = await answer.json();
  if (!answer.ok && resource !== "health") throw new Error(`${resource}: ${answer.status} ${body.code}: ${body.error}`);
  return body;
}

console.log("health:", (await get("health")).status);
console.log("collected:", (await get("symbols", { collected: "true" })).symbols.length, "symbols");
for (const candle of (await get("candles", { symbol, timeframe: "1H", limit: 3 })).candles) {
  console.log("candle:", new Date(candle.timestamp).toISOString(), candle.open, candle.close, candle.closed ? "closed" : "open");
}
const price = await get("price", { symbol, timeframe: "1D" });
console.log(`price: ${price.price} (${price.changePercent.toFixed(2)} % today, ${price.trend})`);
const { indicators } = await get("indicators", { symbol, timeframe: "1", indicators: "rsi:14", limit: 1 });
console.log("rsi:", indicators["rsi:14"].at(-1));
for (const band of (await get("binance/spot", { symbol })).depthVolumes) {
  const least = band.bidComplete && band.askComplete ? "" : " (at least)";
  console.log(`within ${band.depth} %: bid ${Math.round(band.totalBidValue)}, ask ${Math.round(band.totalAskValue)}${least}`);
}
