// What the memories answered: a card for each, the film of their trajectories, and their energies.

import { COLOURS, curves } from "./chart.js";
import { $, make, number } from "./dom.js";
import { bytesOf, draw, picture } from "./pixels.js";

const PER_FRAME = 260; // milliseconds

export class Answers {
  /** `order`: names of all memories, so that each keeps its colour. */
  constructor(order) {
    this.order = order;
    this.films = [];
    $("frame").addEventListener("input", () => {
      this.stop();
      this.seek(Number($("frame").value));
    });
    $("play").addEventListener("click", () => (this.timer ? this.stop() : this.play()));
  }

  clear() {
    this.stop();
    $("answers").replaceChildren();
    for (const id of ["film", "energy-box", "verdict", "reading"]) $(id).hidden = true;
    $("timing").textContent = "";
  }

  show(all, shape) {
    this.stop();
    this.shape = shape;
    this.films = [];
    $("answers").replaceChildren(...all.map((answer) => this.card(answer)));
    const last = Math.max(0, ...this.films.map((film) => film.steps.at(-1)));
    $("film").hidden = last === 0;
    $("reading").hidden = false;
    $("frame").max = last;
    this.seek(last);
    this.energies(all.filter((answer) => answer.energies?.some((energy) => energy !== null)));
  }

  card(answer) {
    const tone = this.order.indexOf(answer.memory);
    const card = make("article", { class: `answer tone-${tone}`, "data-memory": answer.memory }, make("h3", {}, answer.title));
    if (answer.error) {
      card.append(make("p", { class: "problem" }, answer.error));
      return card;
    }
    const canvas = picture(bytesOf(answer.image), this.shape, `recalled by ${answer.title}`);
    this.films.push({ canvas, bytes: bytesOf(answer.frames), steps: answer.frame_steps });
    const winner = answer.winner;
    const name = [`#${winner.row}`, winner.caption].filter(Boolean).join(", ");
    const verdict = winner.right === null ? "" : winner.right ? "the right one" : "another one";
    const text = make("p", {}, make("strong", {}, answer.accepted ? (answer.counted ? name : `nearest: ${name}`) : "refused"), make("br"),
      make("span", { class: winner.right === false ? "bad" : "good" }, answer.accepted ? verdict : ""));
    card.append(
      canvas,
      make("div", { class: "winner" }, picture(bytesOf(winner.image), this.shape, `stored image ${name}`), text),
      make("dl", {}, ...facts(answer).flatMap(([head, value]) => [make("dt", {}, head), make("dd", {}, value)])),
    );
    if (answer.notes.length) {
      card.append(make("details", {}, make("summary", {}, "It warns"), ...answer.notes.map((note) => make("p", {}, note))));
    }
    return card;
  }

  seek(step) {
    $("frame").value = step;
    $("frame").parentElement.querySelector("output").textContent = `${step} of ${$("frame").max}`;
    const size = this.shape.reduce((product, edge) => product * edge, 1);
    for (const film of this.films) {
      const frame = film.steps.findLastIndex((at) => at <= step);
      draw(film.canvas, film.bytes, this.shape, frame * size);
    }
  }

  play() {
    const last = Number($("frame").max);
    let step = 0;
    this.seek(0);
    $("play").textContent = "❚❚";
    $("play").setAttribute("aria-label", "Stop the trajectory");
    const stride = Math.max(1, Math.ceil(last / 40));
    this.timer = setInterval(() => {
      step = Math.min(last, step + stride);
      this.seek(step);
      if (step === last) this.stop();
    }, PER_FRAME);
  }

  stop() {
    clearInterval(this.timer);
    this.timer = null;
    $("play").textContent = "▶";
    $("play").setAttribute("aria-label", "Play the trajectory");
  }

  energies(all) {
    $("energy-box").hidden = !all.length;
    if (!all.length) return;
    const traces = all.map((answer) => {
      const steps = answer.energies.map((_, step) => step).filter((step) => answer.energies[step] !== null);
      const values = steps.map((step) => answer.energies[step]);
      const [first, end] = [values[0], values.at(-1)];
      const fall = first - end || 1;
      return {
        name: answer.title,
        x: steps,
        y: values.map((value) => (value - end) / fall),
        text: values.map((value) => `energy ${value.toPrecision(6)}`),
        hovertemplate: "step %{x}: %{text}<extra>%{fullData.name}</extra>",
        mode: "lines+markers",
        line: { color: COLOURS[this.order.indexOf(answer.memory)], width: 2 },
      };
    });
    const heights = traces.flatMap((trace) => trace.y);
    const [lowest, highest] = [Math.min(...heights), Math.max(...heights)];
    const layout = {
      xaxis: { title: { text: "step" }, rangemode: "tozero", dtick: traces.every((trace) => trace.x.at(-1) <= 12) ? 1 : undefined },
      yaxis: { title: { text: "left of the fall" }, range: highest > 1 || lowest < 0 ? undefined : [-0.05, 1.08] },
      showlegend: true,
    };
    const words = all.map((answer) => `${answer.title}: from ${number(answer.energies.find((e) => e !== null))} to ${number(answer.energies.at(-1))}`);
    curves($("energy"), traces, layout, `Energies along the recall. ${words.join("; ")}.`).catch((error) => {
      $("energy").textContent = error.message;
    });
  }
}

function facts(answer) {
  const end = answer.energies?.at(-1);
  return [
    ["margin", answer.margin === null ? "–" : number(answer.margin)],
    ["off by (rms)", number(answer.distance)],
    ["steps", answer.converged ? `${answer.steps}` : `${answer.steps}, not at rest`],
    ["energy", end == null ? "none" : number(end, 2)],
    ["time", `${number(answer.milliseconds, 1)} ms`],
  ];
}
