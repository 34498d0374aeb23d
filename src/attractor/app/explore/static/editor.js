// The cue under the brush: an image, and the damage done to it.
//
// Damage is kept apart from the image: painted pixels, a hidden part, noise. What is hidden or painted may be told to the memory;
// where noise struck nobody knows.

import { gaussians, imageData } from "./pixels.js";

const HIDDEN = 0;
const LONGEST = 420;

export class Editor {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.paint = "black";
    this.size = 3;
    this.cursor = null;
    this.painting = false;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.painting = true;
      this.last = null;
      this.stroke(event);
    });
    canvas.addEventListener("pointermove", (event) => this.painting && this.stroke(event));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { this.painting = false; });
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("focus", () => { if (canvas.matches(":focus-visible")) this.point(); });
    canvas.addEventListener("blur", () => { this.cursor = null; this.draw(); });
  }

  /** Take a new image, `pattern` in [0, 1]; the hidden part and the noise stay as they are set. */
  load(pattern, shape) {
    if (String(shape) !== String(this.shape) || !this.painted) {
      this.shape = shape;
      [, this.height, this.width] = shape;
      this.scale = Math.max(1, Math.floor(LONGEST / Math.max(this.height, this.width)));
      this.canvas.width = this.width * this.scale;
      this.canvas.height = this.height * this.scale;
      this.middle();
      this.setHidden(this.side ?? "none", this.share ?? 0.5);
      this.setNoise(this.strength ?? 0, this.seed ?? 1);
    }
    this.pattern = pattern;
    this.painted = new Int16Array(this.height * this.width).fill(-1);
    this.draw();
  }

  middle() {
    this.place = [Math.floor(this.width / 2), Math.floor(this.height / 2)];
  }

  setHidden(side, share) {
    this.side = side;
    this.share = share;
    const { width, height } = this;
    const inside = {
      none: () => false,
      lower: (x, y) => y >= height * (1 - share),
      upper: (x, y) => y < height * share,
      left: (x) => x < width * share,
      right: (x) => x >= width * (1 - share),
      centre: (x, y) => Math.abs(x + 0.5 - width / 2) < (width / 2) * share && Math.abs(y + 0.5 - height / 2) < (height / 2) * share,
    }[side];
    this.hidden = Uint8Array.from({ length: width * height }, (_, pixel) => inside(pixel % width, Math.floor(pixel / width)));
  }

  setNoise(strength, seed) {
    this.strength = strength;
    const count = this.shape[0] * this.height * this.width;
    if (seed !== this.seed || this.noise?.length !== count) this.noise = gaussians(count, seed);
    this.seed = seed;
  }

  /** Brush the pixels about `(x, y)`. */
  brush(x, y) {
    const value = { black: 0, white: 255, heal: -1 }[this.paint];
    const reach = (this.size - 1) / 2;
    for (let row = Math.ceil(y - reach); row <= y + reach; row++) {
      for (let column = Math.ceil(x - reach); column <= x + reach; column++) {
        const outside = row < 0 || column < 0 || row >= this.height || column >= this.width;
        if (!outside && (row - y) ** 2 + (column - x) ** 2 <= (reach + 0.3) ** 2) this.painted[row * this.width + column] = value;
      }
    }
  }

  stroke(event) {
    const box = this.canvas.getBoundingClientRect();
    const here = [
      Math.floor(((event.clientX - box.left) / box.width) * this.width),
      Math.floor(((event.clientY - box.top) / box.height) * this.height),
    ];
    const from = this.last ?? here;
    const steps = Math.max(1, Math.abs(here[0] - from[0]), Math.abs(here[1] - from[1]));
    for (let step = 0; step <= steps; step++) {
      this.brush(...[0, 1].map((axis) => Math.round(from[axis] + ((here[axis] - from[axis]) * step) / steps)));
    }
    this.last = here;
    this.draw();
    this.changed();
  }

  key(event) {
    const move = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    if (move) {
      this.place = [
        Math.min(this.width - 1, Math.max(0, this.place[0] + move[0])),
        Math.min(this.height - 1, Math.max(0, this.place[1] + move[1])),
      ];
    }
    this.point();
    if (!move || event.shiftKey) {
      this.brush(...this.place);
      this.draw();
      this.changed();
    }
  }

  point() {
    this.cursor = this.place;
    this.draw();
  }

  /** The cue as numbers, in the order of the pattern. */
  cue() {
    const area = this.height * this.width;
    return this.pattern.map((value, place) => {
      const pixel = place % area;
      if (this.hidden[pixel]) return HIDDEN;
      if (this.painted[pixel] >= 0) return this.painted[pixel] / 255;
      return value + this.strength * this.noise[place];
    });
  }

  /** One byte for each entry, 1 where it is neither hidden nor painted. */
  known() {
    const area = this.height * this.width;
    return Uint8Array.from(this.pattern, (_, place) => !this.hidden[place % area] && this.painted[place % area] < 0);
  }

  draw() {
    if (!this.pattern) return;
    const { width, height, scale } = this;
    const small = new OffscreenCanvas(width, height);
    const cue = this.cue();
    small.getContext("2d").putImageData(imageData(this.shape, (place) => 255 * cue[place]), 0, 0);
    const context = this.canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(small, 0, 0, width * scale, height * scale);
    if (this.told) this.tint(context);
    if (this.cursor) {
      const side = this.size * scale;
      const [x, y] = this.cursor.map((at) => (at - (this.size - 1) / 2) * scale);
      context.lineWidth = 4;
      context.strokeStyle = "#000";
      context.strokeRect(x, y, side, side);
      context.lineWidth = 2;
      context.strokeStyle = "#ffd23f";
      context.strokeRect(x, y, side, side);
    }
  }

  /** Mark what the memory is told to be missing. */
  tint(context) {
    const { width, height, scale } = this;
    context.fillStyle = "rgba(86, 180, 233, 0.35)";
    for (let pixel = 0; pixel < width * height; pixel++) {
      if (this.hidden[pixel] || this.painted[pixel] >= 0) {
        context.fillRect((pixel % width) * scale, Math.floor(pixel / width) * scale, scale, scale);
      }
    }
  }
}
