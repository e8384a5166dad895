// Preferences live in cookies, so that the server's first paint is already in them; recent symbols in local storage.

const YEAR = 31536000;
const RECENT = "recent-symbols";

export function preference(name) {
  return document.documentElement.dataset[name];
}

/** Applies a preference at once, keeps it for a year, and tells the page with a `preference` event. */
export function prefer(name, value) {
  if (preference(name) === value) return;
  document.documentElement.dataset[name] = value;
  document.cookie = `${name}=${value}; path=/; max-age=${YEAR}; samesite=lax`;
  document.dispatchEvent(new CustomEvent("preference", { detail: { name, value } }));
}

export function recentSymbols() {
  try {
    const kept = JSON.parse(localStorage.getItem(RECENT) ?? "[]");
    return Array.isArray(kept) ? kept.filter((name) => typeof name === "string").slice(0, 5) : [];
  } catch {
    return [];
  }
}

export function rememberSymbol(symbol) {
  const kept = [symbol, ...recentSymbols().filter((name) => name !== symbol)].slice(0, 5);
  try {
    localStorage.setItem(RECENT, JSON.stringify(kept));
  } catch {
    // Storage is full or closed: the list is a convenience, the page goes on without it.
  }
}
