// The recall tab: a stored image is damaged, and several memories recall it side by side.

import { ask, latest, problem, say, trying } from "./api.js";
import { Answers } from "./answers.js";
import { $, make, showValues } from "./dom.js";
import { Editor } from "./editor.js";
import { base64Of, floatsOf } from "./pixels.js";
import { Store, upload } from "./store.js";

const WAIT = 120; // milliseconds without a further change before a recall

let editor;
let store;
let answers;
let item = null;
let unseen = 0;
let timer = null;
let limit = 0;

export function start(_, known) {
  limit = known.body;
  answers = new Answers(known.memories.map((memory) => memory.name));
  editor = new Editor($("canvas"), change);
  store = new Store(known, stored, choose);
  $("memories").replaceChildren(
    ...known.memories.map((memory) =>
      make("label", {}, make("input", { type: "checkbox", name: "memory", value: memory.name, checked: memory.chosen, onchange: change }), memory.title)),
  );
  showValues($("damage"), (input) => (input.id === "share" ? `${input.value} %` : input.value));
  $("paints").addEventListener("change", (event) => { editor.paint = event.target.value; });
  $("brush").addEventListener("input", () => { editor.size = Number($("brush").value); });
  for (const id of ["hidden", "share"]) $(id).addEventListener("input", hide);
  $("noise").addEventListener("input", () => noise(editor.seed));
  $("again").addEventListener("click", () => {
    if ($("noise").value === "0") $("noise").value = "0.5";
    $("noise").dispatchEvent(new Event("input"));
    noise(editor.seed + 1);
  });
  $("told").addEventListener("change", () => {
    editor.told = $("told").checked;
    editor.draw();
    change();
  });
  $("clean").addEventListener("click", clean);
  $("unseen").addEventListener("click", () => replace(() => ask(`/api/unseen?row=${unseen++}`), "one that is not stored"));
  $("cue-file").addEventListener("change", async () => {
    const [file] = $("cue-file").files;
    if (file) await replace(() => upload("/api/cue", file, limit), "your picture");
    $("cue-file").value = "";
  });
  $("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    recall();
  });
}

async function stored() {
  $("damage").hidden = false;
  $("damage-wait").hidden = true;
  $("go").disabled = false;
  answers.clear();
  await choose(0);
}

async function choose(row) {
  await trying("cue-problem", async () => {
    const answer = await ask(`/api/items/${row}`);
    if (store.row !== row) return; // another was chosen meanwhile
    item = row;
    take(answer, [`image #${row}`, answer.caption].filter(Boolean).join(", "));
  });
}

/** A cue that is not one of the stored images. */
async function replace(fetch, what) {
  await trying("cue-problem", async () => {
    const answer = await fetch();
    item = null;
    store.row = null;
    store.mark();
    take(answer, [what, answer.caption].filter(Boolean).join(": "));
  });
}

function take(answer, name) {
  editor.load(floatsOf(answer.pattern), store.shape);
  $("cue-name").textContent = `The cue: ${name}`;
  say(`The cue is ${name}.`);
  change();
}

function hide() {
  if (!editor.pattern) return;
  editor.setHidden($("hidden").value, Number($("share").value) / 100);
  editor.draw();
  change();
}

function noise(seed) {
  if (!editor.pattern) return;
  editor.setNoise(Number($("noise").value), seed);
  editor.draw();
  change();
}

function clean() {
  $("hidden").value = "none";
  $("noise").value = "0";
  $("noise").dispatchEvent(new Event("input"));
  editor.load(editor.pattern, store.shape);
  hide();
}

function change() {
  if (!editor.pattern || !$("live").checked) return;
  clearTimeout(timer);
  timer = setTimeout(recall, WAIT);
}

const recall = latest(async () => {
  const chosen = [...document.querySelectorAll('[name="memory"]:checked')].map((input) => input.value);
  const cue = { cue: base64Of(editor.cue()), known: $("told").checked ? base64Of(editor.known()) : null };
  problem("recall-problem", "");
  if (!chosen.length) {
    problem("recall-problem", "Choose at least one memory.");
    return;
  }
  const began = performance.now();
  const done = await trying("recall-problem", async () => {
    const answer = await ask("/api/recall", { body: { ...cue, memories: chosen, item } });
    $("timing").textContent = `answered in ${Math.round(performance.now() - began)} ms`;
    answers.show(answer.answers, store.shape);
    say(summary(answer.answers));
    await judge(cue);
  });
  if (!done) answers.clear();
});

/** Whether the cue is refused as resembling nothing stored. */
async function judge(cue) {
  const verdict = await ask("/api/verdict", { body: cue });
  const [stands, asked] = [verdict.resemblance, verdict.threshold].map((value) => value.toFixed(2));
  $("verdict").hidden = false;
  $("verdict").className = `verdict ${verdict.recognised ? "good" : "bad"}`;
  $("verdict").textContent = verdict.recognised
    ? `Recognised: the cue speaks for image #${verdict.nearest.row} (resemblance ${stands}, ${asked} is asked).`
    : `Refused: the cue resembles nothing stored clearly enough (resemblance ${stands}, ${asked} is asked).`;
}

function summary(all) {
  if (item === null) return `${all.length} memories have answered.`;
  const right = all.filter((answer) => answer.winner?.right).length;
  return `${right} of ${all.length} found the right image.`;
}
