// The menu of indicators: what is in the picture with its parameters, and what can be added.

import { Colours } from "./analysis_colours.js";

/** `catalogue`: the indicators as the server has them. A label is `name[:parameter...]`, as in the address. */
export class Menu {
  constructor(catalogue, changed) {
    this.byName = new Map(catalogue.map((one) => [one.name, one]));
    this.changed = changed;
    this.labels = [];
    this.colours = new Colours();
    for (const one of catalogue) document.getElementById(one.overlay ? "add-overlays" : "add-panes").append(this.adder(one));
    this.list = document.getElementById("chosen-indicators");
    this.list.addEventListener("change", (event) => this.edited(event));
    this.list.addEventListener("click", (event) => event.target.closest("button") && this.removed(event.target.closest("fieldset")));
  }

  adder(one) {
    const button = element("button", one.title);
    button.type = "button";
    button.dataset.add = one.name;
    button.addEventListener("click", () => this.tell([...this.labels, this.free(one)]));
    return button;
  }

  /** `changed` gets the labels, and their colours as the address has them. */
  tell(labels) {
    this.changed(labels, this.colours.text(labels));
  }

  /** A label that is not in the picture yet: the defaults, else with the next period that is free. */
  free({ name, parameters }) {
    const values = parameters.map((parameter) => parameter.default);
    const label = () => [name, ...values].join(":");
    const taken = new Set(this.labels.map((one) => this.full(one)));
    while (parameters.length && taken.has(label())) values[parameters.length > 1 && name === "macd" ? 1 : 0] += 10;
    return label();
  }

  /** The label with every parameter written out. */
  full(label) {
    const { indicator, values } = this.read(label);
    return [indicator.name, ...values].join(":");
  }

  read(label) {
    const [name, ...given] = label.split(":");
    const indicator = this.byName.get(ALIASES[name] ?? name);
    return { indicator, values: indicator?.parameters.map((parameter, i) => Number(given[i] ?? parameter.default)) };
  }

  /** {label, indicator, hue} of each label; what this menu does not know is left out. */
  specs(labels) {
    return labels.map((label, i) => ({ label, indicator: this.read(label).indicator, hue: this.colours.of(label, i) })).filter(({ indicator }) => indicator);
  }

  /** `colours` as the address has them. */
  show(labels, colours) {
    this.labels = labels;
    this.colours.read(colours, labels);
    const key = JSON.stringify([labels, colours]);
    if (key === this.shown) return; // what somebody is about to choose stays under the hand
    this.shown = key;
    const focused = this.list.contains(document.activeElement) && document.activeElement.name;
    const known = labels.filter((label) => this.read(label).indicator);
    this.list.replaceChildren(...known.map((label) => this.row(label, labels.indexOf(label))));
    if (focused) this.list.querySelector(`input[name="${CSS.escape(focused)}"]:checked`)?.focus();
    if (!known.length) this.list.append(element("p", "None yet."));
  }

  row(label, i) {
    const { indicator, values } = this.read(label);
    const row = element("fieldset");
    row.dataset.label = label;
    row.append(element("legend", indicator.title));
    indicator.parameters.forEach((parameter, i) => row.append(this.field(parameter, values[i])));
    row.append(this.colours.swatches(label, i, [indicator.title, ...values].join(" ")));
    const remove = element("button", "Remove");
    remove.type = "button";
    remove.setAttribute("aria-label", `Remove ${indicator.title} ${values.join(", ")}`);
    row.append(remove);
    return row;
  }

  field(parameter, value) {
    const label = element("label", `${parameter.name} `);
    const input = element("input");
    Object.assign(input, { type: "number", min: parameter.least, max: parameter.most, step: parameter.whole ? 1 : 0.1, value, required: true });
    label.append(input);
    return label;
  }

  edited({ target }) {
    const row = target.closest("fieldset");
    if (target.type === "radio") {
      this.colours.choose(row.dataset.label, Number(target.value));
      return this.tell(this.labels);
    }
    if (![...row.querySelectorAll("input[type=number]")].every((input) => input.reportValidity())) return;
    const { indicator } = this.read(row.dataset.label);
    const label = [indicator.name, ...[...row.querySelectorAll("input[type=number]")].map((input) => input.valueAsNumber)].join(":");
    this.colours.rename(row.dataset.label, label);
    this.tell([...new Set(this.labels.map((one) => (one === row.dataset.label ? label : one)))]);
  }

  removed(row) {
    this.tell(this.labels.filter((label) => label !== row.dataset.label));
  }
}

const ALIASES = { bb: "bollinger", stoch: "stochastic", willr: "williams", williams_r: "williams" };

export function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
