// New alerts on every page: told once, whichever page or tab is open, and not at all where they are switched off.

import { age } from "./format.js";
import { beside, getJson } from "./poll.js";
import { preference } from "./preferences.js";

const NEWEST = "alerts-newest"; // in local storage: the number of the newest alert that was told or stood by
const STAYS = 10_000; // milliseconds
const EVERY = 30_000;
const MOST = 3; // at once; what is beyond is told as one

const region = document.getElementById("toasts");
const clock = { offset: 0 };
let known = null; // where local storage is closed

function newest() {
  try {
    return Number(localStorage.getItem(NEWEST) ?? known ?? NaN);
  } catch {
    return Number(known ?? NaN);
  }
}

function remember(id) {
  known = id;
  try {
    localStorage.setItem(NEWEST, id);
  } catch {
    // Storage is full or closed: this page remembers by itself.
  }
}

function element(name, text, attributes = {}) {
  const made = document.createElement(name);
  made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

/** Goes by itself, but not from under the mouse or the keyboard. */
function show(title, text, link) {
  const made = element("div", "", { class: "toast" });
  const close = element("button", "×", { type: "button", "aria-label": `Close: ${title}` });
  const body = element("a", text, { href: link });
  made.append(element("b", title), close, body);
  let timer = null;
  const go = () => made.remove();
  const wait = () => (timer = setTimeout(go, STAYS));
  const stay = () => clearTimeout(timer);
  close.addEventListener("click", go);
  for (const event of ["pointerenter", "focusin"]) made.addEventListener(event, stay);
  for (const event of ["pointerleave", "focusout"]) made.addEventListener(event, wait);
  region.append(made);
  wait();
}

function addressOf({ symbol, kind }) {
  return `${region.dataset.alertsUrl}?${new URLSearchParams(symbol ? { symbol, kind } : { kind })}`;
}

/** Tells what is new among alerts, newest first; `count` of them there are in all. */
export function tell(alerts, count = alerts.length) {
  const since = newest();
  const fresh = alerts.filter(({ id }) => id > since);
  if (!fresh.length) return;
  remember(Math.max(...fresh.map(({ id }) => id)));
  if (preference("toasts") === "off" || Number.isNaN(since)) return;
  const shown = fresh.slice(0, MOST);
  const more = Math.max(count, fresh.length) - shown.length;
  if (more > 0) show(`${more} more alerts`, "The alert centre has them all.", region.dataset.alertsUrl);
  for (const alert of shown.reverse()) {
    const old = Date.now() + clock.offset - alert.timestamp;
    show(alert.rule, old > 60_000 ? `${alert.message}, ${age(old)} ago` : alert.message, addressOf(alert));
  }
}

async function ask() {
  const since = newest();
  const body = await getJson(`${region.dataset.newUrl}${Number.isNaN(since) ? "" : `?after=${since}`}`);
  clock.offset = body.now - Date.now();
  if (Number.isNaN(since) || body.newest < since) return remember(body.newest); // the first visit, or another database
  tell(body.data, body.count);
}

document.addEventListener("alerts-read", ({ detail }) => tell(detail));
document.addEventListener("keydown", ({ key }) => key === "Escape" && region.lastElementChild?.remove());
if (!document.hidden) ask().catch(() => {}); // the page itself tells that the server is away
beside(ask, EVERY);
