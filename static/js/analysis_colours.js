// Which of the page's line colours an indicator has: chosen in the menu, kept in the address as numbers with commas.

export const HUES = 8;

/** Colours by label. In the address they stand in the order of the indicators; an empty one is the indicator's own. */
export class Colours {
  constructor() {
    this.chosen = new Map();
  }

  read(text, labels) {
    const parts = (text ?? "").split(",");
    this.chosen = new Map(labels.map((label, i) => [label, parts[i]]).filter(([, part]) => /^[0-7]$/.test(part ?? "")).map(([label, part]) => [label, Number(part)]));
  }

  /** The number of a label's colour; `i` is its place in the picture. */
  of(label, i) {
    return this.chosen.get(label) ?? i % HUES;
  }

  choose(label, hue) {
    this.chosen.set(label, hue);
  }

  rename(before, after) {
    if (this.chosen.has(before) && before !== after) this.chosen.set(after, this.chosen.get(before));
  }

  /** As the address has it; null when every indicator has its own. */
  text(labels) {
    return labels.map((label) => this.chosen.get(label) ?? "").join(",").replace(/,+$/, "") || null;
  }

  /** One swatch a colour, of which one is chosen. */
  swatches(label, i, title) {
    const group = document.createElement("span");
    group.className = "swatches";
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", `Colour of ${title}`);
    for (let hue = 0; hue < HUES; hue += 1) {
      const input = document.createElement("input");
      Object.assign(input, { type: "radio", name: `colour ${label}`, value: hue, checked: hue === this.of(label, i) });
      input.className = `hue-${hue + 1}`;
      input.setAttribute("aria-label", `Colour ${hue + 1}`);
      group.append(input);
    }
    return group;
  }
}
