// A socket that is kept open while its page is seen: opened again after a loss, later each time, and after silence.

const FIRST_DELAY = 500; // milliseconds before the first try after a loss; twice as long after each failure
const LONGEST_DELAY = 30000;
const SILENCE = 45000; // a heartbeat comes every 30 s
const REFUSED = [4400, 4404]; // asking the same again would bring the same answer

/** Whoever extends it says in `hear(message)` what messages mean, and may say in `opened()` what is sent first. */
export class KeptSocket {
  /** `changed(status)` hears of every change of status: that of the server, or null while there is no connection. */
  constructor(changed = () => {}) {
    this.changed = changed;
    this.status = null;
    this.failures = 0;
    this.socket = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.close() : this.open()));
    window.addEventListener("online", () => this.open());
    window.addEventListener("pagehide", () => this.close());
    window.addEventListener("pageshow", ({ persisted }) => persisted && this.open());
    setInterval(() => this.listen(), 5000);
  }

  /** From now on this address (path and query). */
  connect(address) {
    if (address === this.address) return;
    this.address = address;
    this.failures = 0;
    this.close();
    this.open();
  }

  open() {
    clearTimeout(this.timer);
    if (document.hidden || this.socket || !this.address) return;
    const address = new URL(this.address, location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    this.socket = socket;
    this.heardAt = performance.now();
    socket.onopen = () => socket === this.socket && this.opened();
    socket.onmessage = ({ data }) => socket === this.socket && this.took(JSON.parse(data));
    socket.onclose = ({ code }) => socket === this.socket && this.lose(code);
  }

  opened() {}

  /** An error is no sign of health: it comes before the server closes, and is asked again later each time. */
  took(message) {
    this.heardAt = performance.now();
    if (message.type === "error") return;
    this.failures = 0;
    this.hear(message);
  }

  say(status) {
    if (status === this.status) return;
    this.status = status;
    this.changed(status);
  }

  lose(code) {
    this.socket = null;
    this.say(null);
    if (document.hidden || REFUSED.includes(code)) return;
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.failures) * (1 + Math.random() * 0.3);
    this.failures += 1;
    this.timer = setTimeout(() => this.open(), delay);
  }

  close() {
    clearTimeout(this.timer);
    const { socket } = this;
    this.socket = null;
    if (socket?.readyState === WebSocket.CONNECTING) socket.onopen = () => socket.close(); // sooner, browsers complain
    else socket?.close();
    this.say(null);
  }

  /** A connection that says nothing at all is none. */
  listen() {
    if (!this.socket || performance.now() - this.heardAt <= SILENCE) return;
    this.close();
    this.open();
  }
}
