// What a page shows stands in its address: links that set a part of it, and what the hand moves, written there at rest.

const REST = 250; // milliseconds

/** Those of `names` that are chosen; an empty text is a choice, too. */
export function queryOf(names, wanted) {
  return new URLSearchParams(names.filter((name) => wanted[name] != null).map((name) => [name, wanted[name]]));
}

/** Calls `set(name, value)` for plain clicks on links that set a part of the choice (`data-set="name=value"`). */
export function onSet(set) {
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-set]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const [name, value] = link.dataset.set.split("=");
    set(name, value);
  });
}

/** Gives these links their addresses, and marks those of what is chosen. */
export function markChosen(choice, addressOf, links = "a[data-set]") {
  for (const link of document.querySelectorAll(links)) {
    const [name, value] = link.dataset.set.split("=");
    link.href = addressOf({ ...choice, [name]: value });
    if (choice[name] === value) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

/** The market to show of a symbol that was searched for: the chosen one, or the only one that has it. */
export function marketOf({ markets }, choice) {
  return !markets.length || markets.includes(choice.market) ? choice.market : markets[0];
}

/** A function that calls `write` once it has not been called for a moment. */
export function atRest(write) {
  let timer = null;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(write, REST);
  };
}
