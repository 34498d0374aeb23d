// Small helpers for the document.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; `class`, `data-...` and event handlers `onclick` are understood. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function makeSvg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value != null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

/** A table that becomes a list of cards on a narrow window. `columns`: `{head, cell(row), number, wide}`. */
export function table(columns, rows) {
  const head = make("tr", {}, ...columns.map((column) => make("th", { scope: "col", class: column.number && "number" }, column.head)));
  const lines = rows.map((row) =>
    make("tr", {}, ...columns.map((column) => {
      const kind = [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ");
      return make("td", { class: kind || null, "data-head": column.head }, column.cell(row));
    })),
  );
  return make("div", { class: "scroll" }, make("table", { class: "stack" }, make("thead", {}, head), make("tbody", {}, ...lines)));
}

/** Text with a smaller line below it, where there is one. */
export const withAside = (text, aside) => make("span", {}, text, aside ? make("span", { class: "aside" }, aside) : null);

/** Show the value of each slider beside it. */
export function showValues(root, format) {
  for (const input of root.querySelectorAll('input[type="range"]')) {
    const output = input.parentElement.querySelector("output");
    const show = () => { output.textContent = format(input); };
    input.addEventListener("input", show);
    show();
  }
}

/** Options of a select from `{name, title}`. */
export function fillSelect(select, entries) {
  select.replaceChildren(...entries.map((entry) => make("option", { value: entry.name }, entry.title)));
}

export const number = (value, digits = 3) => {
  if (value == null) return "–";
  if (value !== 0 && Math.abs(value) < 10 ** -digits / 2) return value.toExponential(1);
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toFixed(digits)));
};

/** The set that is offered first: the user's bank, else the largest digits. */
export const usual = (sets) => ["bank", "mnist-5k", "digits"].find((name) => sets.some((set) => set.name === name)) ?? "own";
