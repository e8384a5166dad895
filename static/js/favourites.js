// Starred symbols. They live in a cookie, so that the server's first paint has them; it holds as many as a cookie can.

const MOST = 150;
const YEAR = 31536000;

export function favourites() {
  const kept = document.cookie.split("; ").find((part) => part.startsWith("favourites="));
  return new Set((kept ?? "").replace("favourites=", "").split(".").filter(Boolean));
}

/** Stars a symbol, or takes its star away; gives whether it is starred now. Null: there is no room for one more. */
export function toggleFavourite(symbol) {
  const names = favourites();
  if (!names.delete(symbol)) {
    if (names.size >= MOST) return null;
    names.add(symbol);
  }
  document.cookie = `favourites=${[...names].join(".")}; path=/; max-age=${YEAR}; samesite=lax`;
  return names.has(symbol);
}
