// Numbers and times as pages show them, the same as depth/formats.py shows them. Pure.

const SUFFIXES = ["", "K", "M", "B", "T"];
export const MARKS = { exact: "", least: ">= ", most: "<= ", unknown: "~ " };
const fixedFormats = new Map();
const timeFormats = new Map();

/** 64,812.30: thousands separated, as many decimals as asked for. */
export function fixed(value, decimals) {
  if (!fixedFormats.has(decimals)) {
    fixedFormats.set(decimals, new Intl.NumberFormat("en-US", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }));
  }
  return fixedFormats.get(decimals).format(value);
}

/** Four significant digits and K, M, B or T: 12.34M. Below 1: four decimals, below 0.01 eight. */
export function compact(value) {
  const sign = value < 0 ? "-" : "";
  let size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 1) return sign + size.toFixed(size >= 0.01 ? 4 : 8);
  let scale = 0;
  while (size >= 999.95 && scale < SUFFIXES.length - 1) {
    size /= 1000;
    scale += 1;
  }
  const decimals = size < 9.9995 ? 3 : size < 99.995 ? 2 : 1;
  return `${sign}${size.toFixed(decimals)}${SUFFIXES[scale]}`;
}

/** An amount by its step while it is short, else compact. */
export function quantity(value, decimals) {
  return Math.abs(value) < 10000 ? fixed(value, Math.min(decimals, 6)) : compact(value);
}

/** A percentage with its sign, without the % itself. */
export function percent(value, decimals = 2) {
  return `${value >= 0 ? "+" : ""}${value.toFixed(decimals)}`;
}

export function diffQuality(bidComplete, askComplete) {
  if (bidComplete) return askComplete ? "exact" : "most";
  return askComplete ? "least" : "unknown";
}

/** How long ago, in the largest unit that keeps it readable. */
export function age(milliseconds) {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  if (seconds < 120) return `${seconds} s`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min`;
  return seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

export function zone() {
  return document.documentElement.dataset.zone === "local" ? undefined : "UTC";
}

/** The zone's name behind a time: UTC, or the browser's own short name. */
export function zoneName() {
  if (zone() === "UTC") return "UTC";
  const parts = new Intl.DateTimeFormat("en-GB", { timeZoneName: "short" }).formatToParts(new Date());
  return parts.find((part) => part.type === "timeZoneName").value;
}

const SHAPES = {
  time: { hour: "2-digit", minute: "2-digit", second: "2-digit" },
  minute: { hour: "2-digit", minute: "2-digit" },
  day: { day: "2-digit", month: "short" },
  month: { month: "short", year: "numeric" },
  year: { year: "numeric" },
  moment: { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit" },
  exact: { dateStyle: "short", timeStyle: "medium" },
};

/** A time in the chosen zone; `shape` is one of SHAPES. */
export function clock(milliseconds, shape = "time") {
  const key = `${shape} ${zone()}`;
  if (!timeFormats.has(key)) {
    const locale = shape === "exact" ? "sv-SE" : "en-GB"; // Sweden writes 2026-01-31 23:59:59
    timeFormats.set(key, new Intl.DateTimeFormat(locale, { ...SHAPES[shape], timeZone: zone(), hour12: false }));
  }
  return timeFormats.get(key).format(milliseconds);
}

/** A spread in basis points; the tightest are thousandths of one. */
export function basisPoints(bps) {
  return bps.toFixed(bps < 0.1 ? 4 : 2);
}
