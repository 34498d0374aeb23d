// The landscape tab: memories of the plane to drag about, the basins of their recall, and the way down from a cue.

import { ask, latest, say, trying } from "./api.js";
import { COLOURS, curves } from "./chart.js";
import { Board } from "./board.js";
import { $, make, number, showValues, table } from "./dom.js";
import { bytesOf, floatsOf } from "./pixels.js";

const MOST = 20;
const SIMILARITIES = [["euclidean", "Euclidean"], ["dot", "dot product"], ["cosine", "cosine"]];
const SEPARATIONS = [["softmax", "soft-max"], ["sparsemax", "sparsemax"], ["entmax", "entmax"]];

let board;
let known = null;

const option = ([value, title]) => make("option", { value }, title);

export async function start(section) {
  section.append(form());
  board = new Board($("board"), { moved: () => change(false), rested: () => change(true), removed: remove, asked: follow });
  showValues(section, (input) => Number(10 ** input.value).toPrecision(3));
  board.place(ring(5));
  board.cue = [0.35, 0.2];
  for (const id of ["beta", "auto", "similarity", "separation"]) $(id).addEventListener("input", () => change(true));
  $("plane-add").addEventListener("click", () => add());
  $("plane-remove").addEventListener("click", () => remove(board.points.length - 1));
  $("plane-ring").addEventListener("click", () => set(ring(board.points.length)));
  $("plane-random").addEventListener("click", () => set(board.points.map(somewhere)));
  await change(true);
}

function form() {
  return make("section", { class: "card", "aria-labelledby": "plane-title" },
    make("h2", { id: "plane-title" }, "Memories of the plane"),
    make("div", { class: "plane" },
      make("div", {},
        make("div", { id: "board", class: "board" }),
        make("p", { class: "hint" }, "Drag a memory, or click anywhere to recall from there. By keys: tab to a memory or to the cue, arrow keys move it, enter recalls, delete removes a memory."),
        make("p", { id: "plane-problem", class: "problem", role: "alert", hidden: true })),
      make("div", { class: "side" },
        make("fieldset", {}, make("legend", {}, "Inverse temperature β"),
          make("label", { class: "tick" }, make("input", { id: "auto", type: "checkbox" }), "chosen from the memories"),
          make("label", {}, "β ", make("input", { id: "beta", type: "range", min: "-0.5", max: "3", step: "0.05", value: "0.9", "aria-label": "Inverse temperature" }), make("output"))),
        make("div", { class: "fields" },
          make("label", {}, "Similarity", make("select", { id: "similarity" }, ...SIMILARITIES.map(option))),
          make("label", {}, "Separation", make("select", { id: "separation" }, ...SEPARATIONS.map(option)))),
        make("div", { class: "row wrap" },
          make("button", { type: "button", id: "plane-add" }, "Add a memory"),
          make("button", { type: "button", id: "plane-remove" }, "Remove one"),
          make("button", { type: "button", id: "plane-ring" }, "On a ring"),
          make("button", { type: "button", id: "plane-random" }, "At random")),
        make("p", { id: "plane-summary" }),
        make("div", { id: "fixed" }))),
    make("figure", { id: "way-box", hidden: true }, make("figcaption", { id: "way-title" }), make("div", { id: "way", class: "chart" })));
}

const ring = (count) => Array.from({ length: count }, (_, place) => {
  const angle = Math.PI / 2 + (2 * Math.PI * place) / count;
  return [Math.cos(angle), Math.sin(angle)];
});

const somewhere = () => [0, 1].map(() => 2.4 * Math.random() - 1.2);

function set(points) {
  board.place(points);
  change(true);
}

function add() {
  if (board.points.length < MOST) set([...board.points, somewhere()]);
  else say(`${MOST} memories are as many as the plane takes.`);
}

function remove(place) {
  if (board.points.length < 2) say("One memory stays.");
  else set(board.points.filter((_, other) => other !== place));
}

function question() {
  return {
    points: board.points,
    beta: $("auto").checked ? null : 10 ** Number($("beta").value),
    similarity: $("similarity").value,
    separation: $("separation").value,
  };
}

const change = latest(async (fine) => {
  $("beta").disabled = $("auto").checked;
  await trying("plane-problem", async () => {
    known = await ask("/api/landscape", { body: { ...question(), fine } });
    const labels = new Int8Array(bytesOf(known.labels).buffer);
    board.paint(floatsOf(known.energy), labels, known.cells, known.fixed_points);
    if (fine) {
      report();
      await way();
    }
  });
});

function report() {
  const points = known.fixed_points;
  const stored = points.filter((point) => point.stored).length;
  const blends = points.length - stored;
  const border = known.border ? ` ${(100 * known.border).toFixed(1)} % of the window is in no basin.` : "";
  const text = `β = ${number(known.beta, 2)}: ${stored} of ${board.points.length} memories are fixed points, ${blends} ${blends === 1 ? "is a blend" : "are blends"} of several.${border}`;
  $("plane-summary").textContent = text;
  say(text);
  const name = (point) => (point.stored ? `memory ${point.nearest + 1}` : `blend near memory ${point.nearest + 1}`);
  const columns = [
    { head: "fixed point", wide: true, cell: (point) => make("span", {}, make("span", { class: `swatch tone-${points.indexOf(point) % 9}` }), name(point)) },
    { head: "at", number: true, cell: (point) => point.position.map((at) => at.toFixed(2)).join(", ") },
    { head: "off by", number: true, cell: (point) => number(point.distance) },
    { head: "basin", number: true, cell: (point) => `${(100 * point.share).toFixed(1)} %` },
  ];
  $("fixed").replaceChildren(table(columns, points));
}

/** Recall from where the cue stands. */
async function way() {
  const answer = await ask("/api/way", { body: { ...question(), start: board.cue } });
  board.draw(answer.states);
  $("way-box").hidden = false;
  $("way-title").textContent = `From the cue: ${answer.steps} ${answer.steps === 1 ? "step" : "steps"} to memory ${answer.winner + 1}'s side${answer.converged ? "" : ", not at rest yet"}`;
  const trace = { x: answer.energies.map((_, step) => step), y: answer.energies, mode: "lines+markers", line: { color: COLOURS[0], width: 2 }, hovertemplate: "step %{x}: %{y:.6g}<extra></extra>" };
  const layout = { xaxis: { title: { text: "step" } }, yaxis: { title: { text: "energy" } }, showlegend: false };
  await curves($("way"), [trace], layout, `Energy falls from ${number(answer.energies[0])} to ${number(answer.energies.at(-1))}.`);
  return answer;
}

const follow = latest(async () => {
  await trying("plane-problem", async () => {
    const answer = await way();
    say(`Recall took ${answer.steps} steps and ended at ${answer.states.at(-1).map((at) => at.toFixed(2)).join(", ")}.`);
  });
});
