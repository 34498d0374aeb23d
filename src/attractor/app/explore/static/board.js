// The plane itself: basins and contours as a picture, memories and cue as things to drag.

import { COLOURS } from "./chart.js";
import { contours } from "./contours.js";
import { make, makeSvg } from "./dom.js";

const REACH = 1.5;
const EDGE = 1.45;
const LEVELS = 14;
const STEP = 0.05;

const inside = (at) => Math.max(-EDGE, Math.min(EDGE, at));
const rgb = (colour) => [1, 3, 5].map((place) => parseInt(colour.slice(place, place + 2), 16));

export class Board {
  /** `on`: what to call when something `moved`, came to `rested`, a memory was `removed`, or a recall is `asked`. */
  constructor(element, on) {
    this.on = on;
    this.points = [];
    this.at = [0, 0];
    this.canvas = make("canvas", { "aria-hidden": "true" });
    this.under = makeSvg("g");
    this.above = makeSvg("g");
    this.handle = this.thing("cue", "The cue: arrow keys move it, enter recalls from it", makeSvg("path", { d: "M0 -0.075 L0.075 0 L0 0.075 L-0.075 0 Z" }), {
      move: (to) => { this.cue = to; },
      rest: () => on.asked(),
      enter: () => on.asked(),
    });
    this.svg = makeSvg("svg", { viewBox: `${-REACH} ${-REACH} ${2 * REACH} ${2 * REACH}`, role: "group", "aria-label": "The plane, with memories and a cue" }, this.under, this.handle, this.above);
    this.svg.addEventListener("pointerdown", (event) => {
      if (event.target.closest(".memory, .cue")) return;
      this.cue = this.spot(event);
      on.asked();
    });
    element.append(this.canvas, this.svg);
  }

  get cue() {
    return this.at;
  }

  set cue(to) {
    this.at = to.map(inside);
    this.handle.setAttribute("transform", `translate(${this.at[0]} ${-this.at[1]})`);
  }

  place(points) {
    this.points = points;
    this.above.replaceChildren(...points.map((_, place) => this.memory(place)));
  }

  memory(place) {
    const shape = [makeSvg("circle", { r: 0.085 }), makeSvg("text", {}, `${place + 1}`)];
    const element = this.thing("memory", "", shape, {
      move: (to) => {
        this.points[place] = to.map(inside);
        show();
        this.on.moved();
      },
      rest: () => this.on.rested(),
      enter: () => {
        this.cue = this.points[place];
        this.on.asked();
      },
      remove: () => {
        this.on.removed(place);
        this.above.children[Math.min(place, this.points.length - 1)].focus();
      },
    });
    const show = () => {
      const [x, y] = this.points[place];
      element.setAttribute("transform", `translate(${x} ${-y})`);
      element.setAttribute("aria-label", `Memory ${place + 1} at ${x.toFixed(2)}, ${y.toFixed(2)}: arrow keys move it, delete removes it`);
    };
    show();
    return element;
  }

  /** Something that the pointer drags and the arrow keys move. */
  thing(kind, label, shape, does) {
    const element = makeSvg("g", { class: kind, tabindex: 0, role: "button", "aria-label": label }, ...[shape].flat());
    let held = false;
    element.addEventListener("pointerdown", (event) => {
      held = true;
      element.setPointerCapture(event.pointerId);
      event.preventDefault();
      element.focus({ focusVisible: false });
    });
    element.addEventListener("pointermove", (event) => held && does.move(this.spot(event)));
    for (const end of ["pointerup", "pointercancel"]) {
      element.addEventListener(end, () => {
        if (held) does.rest();
        held = false;
      });
    }
    element.addEventListener("keydown", (event) => {
      const [x, y] = kind === "cue" ? this.cue : this.points[[...this.above.children].indexOf(element)];
      const step = event.shiftKey ? 4 * STEP : STEP;
      const to = { ArrowLeft: [x - step, y], ArrowRight: [x + step, y], ArrowUp: [x, y + step], ArrowDown: [x, y - step] }[event.key];
      const work = { Enter: does.enter, " ": does.enter, Delete: does.remove, Backspace: does.remove }[event.key];
      if (!to && !work) return;
      event.preventDefault();
      if (!to) return work();
      does.move(to);
      does.rest();
    });
    return element;
  }

  /** Where on the plane the pointer is. */
  spot(event) {
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * 2 * REACH - REACH;
    const y = REACH - ((event.clientY - box.top) / box.height) * 2 * REACH;
    return [inside(x), inside(y)];
  }

  /** Basins in colours, brighter where the energy is high; contour lines of the energy; fixed points. */
  paint(energy, labels, cells, fixed) {
    const low = energy.reduce((least, value) => Math.min(least, value), Infinity);
    const high = energy.reduce((most, value) => Math.max(most, value), -Infinity);
    const picture = new ImageData(cells, cells);
    for (let cell = 0; cell < cells * cells; cell++) {
      const source = (cells - 1 - Math.floor(cell / cells)) * cells + (cell % cells);
      const height = Math.sqrt((energy[source] - low) / (high - low || 1));
      const colour = labels[source] < 0 ? [221, 221, 221] : rgb(COLOURS[labels[source] % 9]);
      const light = 0.25 + 0.6 * height;
      colour.forEach((part, channel) => { picture.data[4 * cell + channel] = part + (255 - part) * light; });
      picture.data[4 * cell + 3] = 255;
    }
    this.canvas.width = this.canvas.height = cells;
    this.canvas.getContext("2d").putImageData(picture, 0, 0);
    const levels = Array.from({ length: LEVELS - 1 }, (_, place) => low + (high - low) * ((place + 1) / LEVELS) ** 2);
    const lines = high > low ? levels.map((level) => makeSvg("path", { class: "contour", d: contours(energy, cells, level, REACH) })) : [];
    const marks = fixed.map(({ position: [x, y] }) => makeSvg("rect", { class: "fixed", x: -0.06, y: -0.06, width: 0.12, height: 0.12, transform: `translate(${x} ${-y}) rotate(45)` }));
    this.under.replaceChildren(...lines, ...marks);
  }

  /** The way of a recall. */
  draw(states) {
    const path = states.map(([x, y], step) => `${step ? "L" : "M"}${x} ${-y}`).join(" ");
    const dots = states.slice(1).map(([x, y]) => makeSvg("circle", { class: "state", r: 0.022, cx: x, cy: -y }));
    this.under.querySelector(".trip")?.remove();
    this.under.append(makeSvg("g", { class: "trip" }, makeSvg("path", { class: "way-under", d: path }), makeSvg("path", { class: "way", d: path }), ...dots));
  }
}
