// The live book of one symbol and its liquidity: node orderbook_socket.mjs [host:port] [symbol] [messages]
import { messages, symbol } from "./connection.mjs";

messages(`/ws/depth?symbol=${symbol}&market=SPOT`, (book) => {
  if (book.type === "status") return console.log(`${book.symbol} is ${book.wsStatus}`);
  if (!["snapshot", "update"].includes(book.type)) return console.log(book);
  console.log(`${book.symbol} ${book.bestBid.price} / ${book.bestAsk.price} (${book.wsStatus})`);
  for (const { depth, totalBidValue, totalAskValue, bidComplete, askComplete } of book.depthVolumes) {
    const bid = (bidComplete ? "" : ">=") + Math.round(totalBidValue);
    const ask = (askComplete ? "" : ">=") + Math.round(totalAskValue);
    console.log(`  within ${depth}%  bid ${bid}  ask ${ask}`);
  }
});
