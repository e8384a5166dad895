// The clients of the other platforms' documents as these write them; only host and port are ours. Ends when each of the
// three sockets has said `wanted` prices.
import WebSocket from "ws";

const [address, symbol] = process.argv.slice(2);
const wanted = 3;
const heard = { ws1: 0, ws2: 0, ws3: 0 };
const count = (name) => {
    heard[name] += 1;
    if (Object.values(heard).every((times) => times >= wanted)) process.exit(0);
};

// Real-time 5-минутные свечи
const ws1 = new WebSocket(`ws://${address}/ws?symbol=${symbol}&timeframe=5&type=candles`);

// Real-time orderbook
const ws2 = new WebSocket(`ws://${address}/ws?symbol=${symbol}&type=orderbook`);

// Обработка сообщений
ws1.onmessage = function(event) {
    const data = JSON.parse(event.data);
    if (data.type === 'heartbeat') {
        ws1.send(JSON.stringify({type: 'pong'}));
    } else {
        console.log(`${data.symbol} Price: ${data.close}`);
        count("ws1");
    }
};
ws2.onmessage = function(event) {
    const data = JSON.parse(event.data);
    if (data.type === 'heartbeat') {
        ws2.send(JSON.stringify({type: 'pong'}));
    } else {
        console.log(`${data.symbol} Bid: ${data.bids[0][0]}`);
        count("ws2");
    }
};

// Клиент подключается
const ws3 = new WebSocket(`ws://${address}/ws/chart-data`);
ws3.onmessage = function(event) {
    const message = JSON.parse(event.data);
    if (message.type === 'welcome') {
        console.log(message.message);
        // Клиент подписывается
        ws3.send(JSON.stringify({"action": "subscribe", "symbol": symbol, "timeframe": "1h"}));
    } else if (message.type === 'subscribed') {
        console.log(`subscribed ${message.symbol} ${message.timeframe}`);
    } else if (message.type === 'price_update') {
        console.log(`${message.symbol} ${message.timeframe} ${message.data.close}`);
        count("ws3");
    } else if (message.type === 'indicator_update') {
        console.log(`${message.symbol} ${message.indicator} ${JSON.stringify(message.data.value)}`);
    } else if (message.type !== 'heartbeat') {
        console.error(event.data);
        process.exit(1);
    }
};
for (const socket of [ws1, ws2, ws3]) socket.onerror = () => process.exit(1);
