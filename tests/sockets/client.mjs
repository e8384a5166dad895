// A client as the documents of the other platform write it; prints one line a message and ends after `count`.
import WebSocket from "ws";

const [url, count] = process.argv.slice(2);
let left = Number(count);
const ws1 = new WebSocket(url);

ws1.onmessage = function (event) {
    const data = JSON.parse(event.data);
    if (data.type === "heartbeat") {
        ws1.send(JSON.stringify({ type: "pong" }));
    } else if (left-- > 0) {
        ws1.send(JSON.stringify({ type: "pong" }));
        console.log(JSON.stringify({ symbol: data.symbol, bid: data.bids[0][0], ask: data.asks[0][0], levels: data.bids.length }));
        if (left === 0) ws1.close();
    }
};
ws1.onerror = () => process.exit(1);
