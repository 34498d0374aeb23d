// The capacity tab: recall rates against load or damage, drawn while they are measured.

import { askLines, say, trying } from "./api.js";
import { COLOURS, curves } from "./chart.js";
import { $, fillSelect, make, table, usual, withAside } from "./dom.js";

const DAMAGES = [
  { name: "flips", title: "flipped pixels" },
  { name: "noise", title: "noise" },
  { name: "hidden", title: "lower part hidden, memory told" },
  { name: "blank", title: "lower part blanked, memory not told" },
];
const ALONG = [{ name: "load", title: "images stored" }, { name: "damage", title: "strength of the damage" }];
const SCORES = { identified: "right image found", exact: "every pixel right" };

let order = [];
let running = null;
let head = null;
let points = [];

export function start(section, known) {
  order = known.memories.map((memory) => memory.name);
  section.append(form(known));
  fillSelect($("sweep-source"), [...known.sets, { name: "own", title: "Pictures of your own (recall tab)" }]);
  fillSelect($("sweep-along"), ALONG);
  fillSelect($("sweep-damage"), DAMAGES);
  fillSelect($("sweep-score"), Object.entries(SCORES).map(([name, title]) => ({ name, title })));
  $("sweep-source").value = usual(known.sets);
  $("sweep-along").addEventListener("change", showStrength);
  $("sweep-score").addEventListener("change", redraw);
  $("sweep").addEventListener("submit", (event) => {
    event.preventDefault();
    measure();
  });
  $("sweep-stop").addEventListener("click", () => running?.abort());
  showStrength();
}

function form(known) {
  const field = (text, id, attributes) => make("label", {}, text, make("input", { id, type: "number", required: true, ...attributes }));
  const pick = (text, id) => make("label", { class: "long" }, text, make("select", { id }));
  const memories = known.memories.map((memory) =>
    make("label", {}, make("input", { type: "checkbox", name: "sweep-memory", value: memory.name, checked: memory.chosen }), memory.title));
  return make("section", { class: "card", "aria-labelledby": "sweep-title" },
    make("h2", { id: "sweep-title" }, "How much a memory holds, and how much damage it mends"),
    make("form", { id: "sweep" },
      make("div", { class: "fields" },
        pick("Images", "sweep-source"), pick("Against", "sweep-along"), pick("Damage", "sweep-damage"),
        field("Its strength", "sweep-strength", { min: 0, max: 2, step: 0.05, value: 0.2 }),
        field("Most stored", "sweep-most", { min: 2, max: 10000, value: 640 }),
        field("Cues a point", "sweep-cues", { min: 1, max: 200, value: 50 }),
        field("Seed", "sweep-seed", { min: 0, value: 0 })),
      make("fieldset", {}, make("legend", {}, "Memories"), make("div", { class: "choices" }, ...memories)),
      make("div", { class: "row wrap" },
        make("button", { class: "main", type: "submit", id: "sweep-start" }, "Measure"),
        make("button", { type: "button", id: "sweep-stop", disabled: true }, "Stop"))),
    make("p", { id: "sweep-problem", class: "problem", role: "alert", hidden: true }),
    make("div", { id: "sweep-result", hidden: true },
      make("p", { id: "sweep-doing" }),
      make("progress", { id: "sweep-progress", "aria-label": "Measured so far", value: 0, max: 1 }),
      make("div", { class: "fields" }, pick("Score", "sweep-score")),
      make("figure", {}, make("figcaption", { id: "sweep-caption" }), make("div", { id: "sweep-chart", class: "chart tall" })),
      make("div", { id: "sweep-table" })));
}

function showStrength() {
  $("sweep-strength").parentElement.hidden = $("sweep-along").value === "damage";
}

async function measure() {
  const memories = [...document.querySelectorAll('[name="sweep-memory"]:checked')].map((input) => input.value);
  running?.abort();
  const mine = new AbortController();
  running = mine;
  head = null;
  points = [];
  busy(true);
  say("Measuring …");
  const done = await trying("sweep-problem", async () => {
    if (!memories.length) throw new Error("Choose at least one memory.");
    const body = {
      source: $("sweep-source").value, memories, along: $("sweep-along").value, damage: $("sweep-damage").value,
      strength: Number($("sweep-strength").value), most: Number($("sweep-most").value), cues: Number($("sweep-cues").value),
      seed: Number($("sweep-seed").value), edge: Number($("edge").value), colour: $("colour").checked,
    };
    await askLines("/api/capacity", { body, signal: mine.signal }, take);
  });
  if (running !== mine) return;
  busy(false);
  if (head) {
    const text = `${done ? "Measured" : "Stopped after"} ${points.length} of ${head.total} points.`;
    $("sweep-doing").textContent = text;
    say(text);
  }
}

function busy(yes) {
  $("sweep-start").disabled = yes;
  $("sweep-stop").disabled = !yes;
}

function take(line) {
  if (!head) {
    head = line;
    $("sweep-result").hidden = false;
    $("sweep-progress").max = head.total;
  } else {
    points.push(line);
    $("sweep-doing").textContent = `${points.length} of ${head.total} points; last: ${line.title}, ${line.load} stored`;
  }
  $("sweep-progress").value = points.length;
  redraw();
}

function redraw() {
  if (!head) return;
  const score = $("sweep-score").value;
  $("sweep-caption").textContent = `${head.set}: ${SCORES[score]}, with 95 % intervals`;
  const titles = [...new Set(points.map((point) => point.memory))].sort((one, other) => order.indexOf(one) - order.indexOf(other));
  const traces = titles.map((memory) => {
    const mine = points.filter((point) => point.memory === memory && point[score]);
    const rates = mine.map((point) => point[score]);
    return {
      name: points.find((point) => point.memory === memory).title,
      x: mine.map((point) => point.position),
      y: rates.map((rate) => rate.rate),
      error_y: {
        type: "data", symmetric: false, thickness: 1, width: 3,
        array: rates.map((rate) => rate.high - rate.rate), arrayminus: rates.map((rate) => rate.rate - rate.low),
      },
      mode: "lines+markers",
      line: { color: COLOURS[order.indexOf(memory)], width: 2, dash: memory === "nearest" ? "dot" : "solid" },
      hovertemplate: "%{x:g}: %{y:.3f}<extra>%{fullData.name}</extra>",
    };
  });
  const layout = {
    xaxis: { title: { text: head.axis }, type: head.logarithmic ? "log" : "linear", tickvals: head.positions, ticktext: head.positions.map(String) },
    yaxis: { title: { text: "rate" }, range: [-0.04, 1.04] },
    showlegend: true,
  };
  curves($("sweep-chart"), traces, layout, `${SCORES[score]}, against ${head.axis}; the table below has the numbers.`).catch((error) => say(error.message));
  const columns = [
    { head: "memory", wide: true, cell: (memory) => points.find((point) => point.memory === memory).title },
    ...head.positions.map((position) => ({ head: String(position), number: true, cell: (memory) => cell(memory, position, score) })),
  ];
  const notes = [...new Set(points.filter((point) => point.note).map((point) => `${point.title}: ${point.note}`))];
  $("sweep-table").replaceChildren(table(columns, titles), ...notes.map((note) => make("p", { class: "hint" }, note)));
}

function cell(memory, position, score) {
  const point = points.find((one) => one.memory === memory && one.position === position);
  if (!point) return "…";
  if (!point[score]) return "–";
  const [rate, low, high] = ["rate", "low", "high"].map((name) => point[score][name].toFixed(2));
  return withAside(rate, `${low} to ${high}`);
}
