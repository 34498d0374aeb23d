// Step 1 of the recall tab: choose or bring images, store them, and look through what is stored.

import { ask, problem, say, trying } from "./api.js";
import { $, fillSelect, make, usual } from "./dom.js";
import { bytesOf, picture } from "./pixels.js";

const OWN = { name: "own", title: "Pictures of your own …" };
const PAGE = 48;

export class Store {
  /** `known`: what the server offers. `stored(shape)` is called when images were stored, `chosen(row)` when one is picked. */
  constructor(known, stored, chosen) {
    this.limit = known.body;
    this.stored = stored;
    this.chosen = chosen;
    this.start = 0;
    this.row = null;
    fillSelect($("source"), [...known.sets, OWN]);
    $("source").value = usual(known.sets);
    $("source").addEventListener("change", () => this.showOwn());
    this.showOwn();
    $("store").addEventListener("submit", (event) => {
      event.preventDefault();
      this.store();
    });
    $("files").addEventListener("change", async () => {
      await this.bring([...$("files").files]);
      $("files").value = "";
    });
    $("own-clear").addEventListener("click", () => trying("store-problem", async () => this.count(await ask("/api/uploads", { method: "DELETE" }))));
    this.acceptDrops($("drop"));
    $("back").addEventListener("click", () => this.page(this.start - PAGE));
    $("forward").addEventListener("click", () => this.page(this.start + PAGE));
    $("gallery").addEventListener("keydown", (event) => this.walk(event));
  }

  showOwn() {
    $("own").hidden = $("source").value !== OWN.name;
  }

  acceptDrops(zone) {
    for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault()); // beside the zone, too
    for (const kind of ["dragenter", "dragover"]) {
      zone.addEventListener(kind, (event) => {
        event.preventDefault();
        zone.classList.add("over");
      });
    }
    for (const kind of ["dragleave", "drop"]) zone.addEventListener(kind, () => zone.classList.remove("over"));
    zone.addEventListener("drop", (event) => {
      event.preventDefault();
      this.bring([...event.dataTransfer.files]);
    });
  }

  /** Upload pictures, each by itself, so that a bad one does not stop the others. */
  async bring(files) {
    const refused = [];
    for (const [place, file] of files.entries()) {
      say(`Reading picture ${place + 1} of ${files.length} …`);
      try {
        this.count(await upload("/api/uploads", file, this.limit));
      } catch (error) {
        refused.push(error.message);
      }
    }
    problem("store-problem", refused.slice(0, 3).join(" · ") + (refused.length > 3 ? ` · and ${refused.length - 3} more` : ""));
    say(`${files.length - refused.length} of ${files.length} pictures read.`);
  }

  count({ count }) {
    $("own-count").textContent = count ? `${count} ${count === 1 ? "picture" : "pictures"} of your own.` : "No picture yet.";
    $("own-clear").disabled = !count;
  }

  async store() {
    say("Storing …");
    await trying("store-problem", async () => {
      const answer = await ask("/api/store", {
        body: {
          source: $("source").value,
          count: Number($("count").value),
          seed: Number($("seed").value),
          memories: [...document.querySelectorAll('[name="memory"]:checked')].map((input) => input.value),
          edge: Number($("edge").value),
          colour: $("colour").checked,
        },
      });
      const [channels, height, width] = answer.shape;
      this.shape = answer.shape;
      this.total = answer.count;
      $("stored").textContent = `${answer.count.toLocaleString("en")} stored from ${answer.name}, ${width}×${height}${channels === 3 ? " in colour" : ""}. Choose one:`;
      $("gallery-box").hidden = false;
      say(`${answer.count.toLocaleString("en")} images stored.`);
      this.row = 0;
      await this.page(0);
      await this.stored(answer.shape);
    });
  }

  async page(start) {
    this.start = Math.min(Math.max(0, start), Math.floor((this.total - 1) / PAGE) * PAGE);
    await trying("store-problem", async () => {
      const answer = await ask(`/api/items?start=${this.start}&count=${PAGE}`);
      const buttons = answer.images.map((image, place) => {
        const row = answer.start + place;
        const name = [`#${row}`, answer.captions[place]].filter(Boolean).join(", ");
        return make("button", { type: "button", "aria-label": name, title: name, "data-row": row, onclick: () => this.pick(row) }, picture(bytesOf(image), this.shape));
      });
      $("gallery").replaceChildren(...buttons);
      $("place").textContent = `${answer.start + 1}–${answer.start + buttons.length} of ${this.total.toLocaleString("en")}`;
      $("back").disabled = this.start === 0;
      $("forward").disabled = this.start + PAGE >= this.total;
      this.mark();
    });
  }

  pick(row) {
    this.row = row;
    this.mark();
    this.chosen(row);
  }

  /** Show which one is the cue; one button of the gallery is in the order of the tab key. */
  mark() {
    const buttons = [...$("gallery").children];
    const pressed = buttons.find((button) => Number(button.dataset.row) === this.row);
    for (const button of buttons) {
      button.setAttribute("aria-pressed", button === pressed);
      button.tabIndex = button === (pressed ?? buttons[0]) ? 0 : -1;
    }
  }

  walk(event) {
    const buttons = [...$("gallery").children];
    const place = buttons.indexOf(document.activeElement);
    const columns = getComputedStyle($("gallery")).gridTemplateColumns.split(" ").length;
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    if (step === undefined || !buttons[place + step]) return;
    event.preventDefault();
    buttons[place + step].focus();
  }
}

/** Send a file, unless it is too large to be read. */
export async function upload(path, file, limit) {
  if (file.size > limit) throw new Error(`${file.name} is larger than ${Math.floor(limit / 2 ** 20)} MB.`);
  return ask(`${path}?name=${encodeURIComponent(file.name)}`, { raw: file });
}
