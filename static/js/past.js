// The bar under the banner while the simulated market's past is loaded: shown from a state, or asked for once a minute.

import { fixed } from "./format.js";
import { getJson } from "./poll.js";

const PERIOD = 60_000;

/** Shows how far it is; hides the bar when there is nothing to load or all of it is there. */
export function showPast(past) {
  const bar = document.getElementById("past");
  if (!bar) return;
  bar.hidden = !past || past.finishedAt !== null;
  if (bar.hidden) return;
  const share = past.total ? Math.floor((past.done / past.total) * 100) : 0;
  const progress = bar.querySelector("progress");
  progress.value = share;
  bar.querySelector("span").textContent = `Loading the last 48 hours: ${share}%`;
  bar.dataset.tip = `${fixed(past.done, 0)} of ${fixed(past.total, 0)} order books; charts reach further back as it goes on.`;
}

async function ask() {
  const bar = document.getElementById("past");
  if (bar.hidden) return clearInterval(timer);
  if (document.hidden) return;
  document.dispatchEvent(new Event("asked")); // a page that polls waits its turn
  const body = await getJson("/api/v1/status").catch(() => null);
  if (body) showPast(body.past);
}

const loading = document.getElementById("past");
const timer = loading && !document.getElementById("report") ? setInterval(ask, PERIOD) : null;
