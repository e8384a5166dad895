// The rows of a long table that stand in the page: those in view and some around them; the others wait outside of it.

const FEW = 120; // so many rows all stand in the page
const SPARE = 16; // rows above and below the view
const USUAL = 27; // pixels, until two rows have been measured

export class RowsInView {
  /** `scroller` scrolls `body`, whose rows are alike in height. */
  constructor(scroller, body) {
    this.scroller = scroller;
    this.body = body;
    this.rows = [...body.rows];
    this.spacers = [0, 1].map(() => {
      const row = document.createElement("tr");
      row.className = "spacer";
      row.setAttribute("aria-hidden", "true");
      return row;
    });
    scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    new ResizeObserver(() => this.resized()).observe(scroller);
  }

  /** The table's rows in their order; what is focused stays so, as long as it is in view. */
  show(rows) {
    this.rows = rows;
    this.body.parentElement.setAttribute("aria-rowcount", rows.length + 1);
    this.draw();
  }

  resized() {
    this.height = null;
    if (this.rows.length > FEW) this.draw();
  }

  scrolled() {
    if (this.rows.length <= FEW) return;
    const top = Math.floor(this.scroller.scrollTop / this.rowHeight());
    const bottom = top + Math.ceil(this.scroller.clientHeight / this.rowHeight());
    const [first, last] = this.range ?? [0, 0];
    if ((first > 0 && top - first < SPARE / 2) || (last < this.rows.length && last - bottom < SPARE / 2)) this.draw();
  }

  /** From one row's top to the next one's. */
  rowHeight() {
    const [one, next] = this.height ? [] : [...this.body.children].filter((row) => !row.hidden && !this.spacers.includes(row));
    if (next) this.height = next.getBoundingClientRect().top - one.getBoundingClientRect().top;
    return this.height || USUAL;
  }

  draw() {
    const wanted = this.rows.length > FEW ? this.inView() : this.rows;
    const standing = this.body.children;
    if (standing.length === wanted.length && wanted.every((row, at) => row === standing[at])) return;
    const focused = this.body.contains(document.activeElement) ? document.activeElement : null;
    this.body.replaceChildren(...wanted);
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }

  inView() {
    const height = this.rowHeight();
    const top = Math.min(Math.floor(this.scroller.scrollTop / height), this.rows.length - 1);
    const first = Math.max(0, top - SPARE);
    const last = Math.min(this.rows.length, top + Math.ceil(this.scroller.clientHeight / height) + SPARE);
    this.range = [first, last];
    const [above, below] = this.spacers;
    above.style.height = `${first * height}px`;
    below.style.height = `${(this.rows.length - last) * height}px`;
    const shown = this.rows.slice(first, last);
    shown.forEach((row, at) => row.setAttribute("aria-rowindex", first + at + 2));
    return [above, ...shown, below];
  }
}
