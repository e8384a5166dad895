// The admin wears the theme of the pages. Loaded in the head, before anything is painted; not a module for that reason.
(() => {
  const root = document.documentElement;
  const kept = (name) => document.cookie.match(new RegExp(`(?:^|; )${name}=(\\w+)`))?.[1];
  root.dataset.theme = kept("theme") === "light" ? "light" : "dark";
  root.dataset.palette = kept("palette") ?? "classic";
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".theme-switch")) return;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    document.cookie = `theme=${root.dataset.theme}; path=/; max-age=31536000; samesite=lax`;
  });
})();
