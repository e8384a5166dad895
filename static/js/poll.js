// Asking again and again, kindly: never more than one request in the period, none from a hidden tab, less when it fails.

export const PERIOD = 5000;
const LONGEST = 60000;
const PATIENCE = 8000;

/** An answer that is not a success; `status` is 0 where there was no answer at all. */
export class RequestError extends Error {
  constructor(status, code) {
    super(code);
    this.status = status;
    this.code = code;
  }
}

/** GET that gives parsed JSON; raises RequestError, or AbortError when `signal` says so. An answer that breaks off is
 * none. */
export async function getJson(address, signal) {
  const limit = AbortSignal.timeout(PATIENCE);
  let response, body;
  try {
    response = await fetch(address, { signal: signal ? AbortSignal.any([signal, limit]) : limit, headers: { Accept: "application/json" } });
    body = await response.text();
  } catch {
    signal?.throwIfAborted();
    throw new RequestError(0, "no_answer");
  }
  const parsed = parse(body);
  if (!response.ok) throw new RequestError(response.status, parsed?.code ?? "error");
  if (!parsed) throw new RequestError(0, "no_answer");
  return parsed;
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null; // a proxy's page, or half an answer
  }
}

const tasks = [];

/** Asks for something beside what pages poll, at most once in `every` milliseconds: in place of one of their turns, so
 * that no page asks more often for it. Its failures are not the page's. */
export function beside(ask, every) {
  tasks.push({ ask, every, due: Date.now() + every });
}

function dueTask() {
  const task = tasks.find(({ due }) => due <= Date.now());
  if (task) task.due = Date.now() + task.every;
  return task;
}

export class Poller {
  /** `ask` returns a promise; `failed(error, milliseconds until the next try)` hears of every failure. */
  constructor(ask, failed) {
    this.ask = ask;
    this.failed = failed;
    this.failures = 0;
    this.last = this.own = Date.now();
    this.timer = null;
    this.busy = false;
    document.addEventListener("visibilitychange", () => this.visibility());
    document.addEventListener("asked", () => this.failures || this.busy || this.postpone()); // the frame has asked instead
  }

  start() {
    this.plan(PERIOD);
  }

  /** The page has just asked by itself: the period begins anew. */
  postpone() {
    this.last = Date.now();
    this.failures = 0;
    this.plan(PERIOD);
  }

  plan(delay) {
    clearTimeout(this.timer);
    this.timer = document.hidden ? null : setTimeout(() => this.turn(), delay);
  }

  visibility() {
    if (document.hidden) clearTimeout(this.timer);
    else this.plan(Math.max(0, this.last + PERIOD - Date.now()));
  }

  /** Tries now, unless the last request was less than a second ago. */
  retry() {
    this.plan(Math.max(0, this.last + 1000 - Date.now()));
  }

  async turn() {
    if (this.busy) return;
    this.busy = true;
    this.last = Date.now();
    let delay = PERIOD;
    try {
      const fresh = this.last - this.own < 2 * PERIOD; // after a while away the page itself comes first
      const other = this.failures || !fresh ? null : dueTask();
      if (other) await other.ask().catch(() => {});
      else {
        this.own = this.last;
        await this.ask();
      }
      this.failures = 0;
    } catch (error) {
      this.failures += 1;
      delay = Math.min(LONGEST, PERIOD * 2 ** (this.failures - 1)) * (1 + Math.random() * 0.2);
      this.failed(error, delay);
    } finally {
      this.busy = false;
    }
    this.plan(delay);
  }
}
