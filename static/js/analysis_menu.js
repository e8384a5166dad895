// The menu of indicators: what is in the picture with its parameters, and what can be added.

/** `catalogue`: the indicators as the server has them. A label is `name[:parameter...]`, as in the address. */
export class Menu {
  constructor(catalogue, changed) {
    this.byName = new Map(catalogue.map((one) => [one.name, one]));
    this.changed = changed;
    this.labels = [];
    for (const one of catalogue) document.getElementById(one.overlay ? "add-overlays" : "add-panes").append(this.adder(one));
    this.list = document.getElementById("chosen-indicators");
    this.list.addEventListener("change", (event) => this.edited(event));
    this.list.addEventListener("click", (event) => event.target.closest("button") && this.removed(event.target.closest("fieldset")));
  }

  adder(one) {
    const button = element("button", one.title);
    button.type = "button";
    button.dataset.add = one.name;
    button.addEventListener("click", () => this.changed([...this.labels, this.free(one)]));
    return button;
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
    return labels.map((label, i) => ({ label, indicator: this.read(label).indicator, hue: i })).filter(({ indicator }) => indicator);
  }

  show(labels) {
    this.labels = labels;
    const known = labels.filter((label) => this.read(label).indicator);
    this.list.replaceChildren(...known.map((label) => this.row(label)));
    if (!known.length) this.list.append(element("p", "None yet."));
  }

  row(label) {
    const { indicator, values } = this.read(label);
    const row = element("fieldset");
    row.dataset.label = label;
    row.append(element("legend", indicator.title));
    indicator.parameters.forEach((parameter, i) => row.append(this.field(parameter, values[i])));
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
    if (![...row.querySelectorAll("input")].every((input) => input.reportValidity())) return;
    const { indicator } = this.read(row.dataset.label);
    const label = [indicator.name, ...[...row.querySelectorAll("input")].map((input) => input.valueAsNumber)].join(":");
    this.changed([...new Set(this.labels.map((one) => (one === row.dataset.label ? label : one)))]);
  }

  removed(row) {
    this.changed(this.labels.filter((label) => label !== row.dataset.label));
  }
}

const ALIASES = { bb: "bollinger", stoch: "stochastic", willr: "williams", williams_r: "williams" };

export function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}
