// Colours of the tokens in force, for whatever is drawn on a canvas.

export function tokens() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    background: read("surface"),
    text: read("text"),
    muted: read("muted"),
    line: read("line"),
    grid: read("grid"),
    bid: read("bid"),
    ask: read("ask"),
    other: { bid: read("other-bid"), ask: read("other-ask"), diff: read("other-diff") },
    careful: read("careful"),
    gap: read("gap"),
    raised: read("raised"),
    sans: read("sans"),
  };
}
