// What the socket examples share: messages of a WebSocket, come back to after every loss.
import WebSocket from "ws";

export const [host = "localhost:8000", symbol = "BTCUSDT", count = "Infinity"] = process.argv.slice(2);

/** Calls `heard` with each message of a path, heartbeats left out; `said` is sent whenever the connection is made. */
export function messages(path, heard, ...said) {
  let left = Number(count);
  let pause = 1000;
  const connect = () => {
    const socket = new WebSocket(`ws://${host}${path}`);
    socket.onopen = () => said.forEach((one) => socket.send(JSON.stringify(one)));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      pause = 1000;
      if (message.type === "heartbeat") return socket.send(JSON.stringify({ type: "pong" }));
      if (left <= 0) return;
      heard(message);
      if (--left <= 0) process.exit(0);
    };
    socket.onerror = () => {}; // its close follows
    socket.onclose = ({ code }) => {
      if (left <= 0) return;
      if (code >= 4400 && code < 4500) process.exit(1); // asking the same again would bring the same answer
      console.error(`closed (${code}); again in ${pause / 1000} s`);
      setTimeout(connect, pause);
      pause = Math.min(30000, pause * 2);
    };
  };
  connect();
}
