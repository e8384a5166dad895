// The export page of the admin: counts rows as choices change, and tells how far a download is.
const form = document.getElementById("export");
const counted = document.getElementById("export-count");
const sign = document.getElementById("export-progress");
const search = document.getElementById("export-search");
const symbols = form.elements.symbol;
let rows = null;
let counting = null;

const group = (number) => number.toLocaleString("en-US");
const choices = () => new URLSearchParams(new FormData(form));

async function count() {
  counting?.abort();
  counting = new AbortController();
  rows = null;
  try {
    const answer = await fetch(`${form.dataset.countUrl}?${choices()}`, { signal: counting.signal });
    const told = await answer.json();
    if (told.errors) {
      counted.textContent = Object.keys(told.errors).length ? "Choose at least one of everything" : "";
      return;
    }
    rows = told.rows;
    counted.textContent = `${told.exact ? "" : "About "}${group(rows)} row${rows === 1 ? "" : "s"}`;
  } catch (error) {
    if (error.name !== "AbortError") counted.textContent = "The rows cannot be counted now";
  }
}

function tell(share, text) {
  sign.hidden = false;
  sign.querySelector("progress").value = share;
  sign.querySelector("span").textContent = text;
}

async function watch(token, missing = 0) {
  let told = null;
  try {
    const answer = await fetch(`${form.dataset.progressUrl}?token=${token}`);
    if (answer.ok) told = await answer.json();
  } catch {
    // asked again below
  }
  if (told?.done) return tell(1, `${group(told.rows)} rows, done`);
  if (told) tell(rows ? Math.min(told.rows / rows, 0.99) : 0, `${group(told.rows)}${rows ? ` of ${group(rows)}` : ""} rows`);
  if (!told && missing > 30) return tell(0, "The download's progress is not known");
  setTimeout(() => watch(token, told ? 0 : missing + 1), 1000);
}

function download(event) {
  if (!event.submitter?.formAction || !event.submitter.hasAttribute("formaction")) return;
  event.preventDefault();
  const token = crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  const query = choices();
  query.set("token", token);
  const link = document.createElement("a");
  link.href = `${event.submitter.formAction}?${query}`;
  link.download = "";
  link.click();
  tell(0, "Begun");
  setTimeout(() => watch(token), 300);
}

let waiting = 0;
form.addEventListener("change", (event) => {
  if (event.target === search) return;
  clearTimeout(waiting);
  waiting = setTimeout(count, 300);
});
form.addEventListener("submit", download);
search.hidden = false;
search.addEventListener("input", () => {
  const wanted = search.value.trim().toUpperCase();
  for (const option of symbols.options) option.hidden = !option.selected && !option.value.includes(wanted);
});
search.addEventListener("keydown", (event) => event.key === "Enter" && event.preventDefault());
if (symbols.selectedOptions.length) count();
