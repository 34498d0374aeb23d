// The papers tab: published claims beside what was measured, with the figures of each run.

import { ask, say, trying } from "./api.js";
import { COLOURS, curves } from "./chart.js";
import { make, number, table, withAside } from "./dom.js";
import { picture } from "./pixels.js";

const VERDICTS = { true: ["yes", "good"], false: ["no", "bad"], null: ["–", ""] };

export async function start(section) {
  const list = make("div", {});
  section.append(
    make("p", { class: "hint" }, "Every number was written by the command beside it, none by hand."),
    make("p", { class: "problem", id: "papers-problem", role: "alert", hidden: true }),
    list,
  );
  await trying("papers-problem", async () => {
    const { ids } = await ask("/api/papers");
    for (const [place, id] of ids.entries()) {
      say(`Reading paper ${place + 1} of ${ids.length} …`);
      list.append(entry(await ask(`/api/papers/${id}`)));
    }
    say(`${ids.length} papers.`);
  });
}

function entry(paper) {
  const judged = paper.rows.filter((row) => row.ok !== null);
  const agree = judged.filter((row) => row.ok).length;
  const state = paper.status === "current" ? `${agree} of ${judged.length} agree` : paper.status;
  const authors = paper.authors.length < 3 ? paper.authors.join(" and ") : `${paper.authors[0]} and others`;
  const body = make("div", {});
  const details = make("details", { class: "paper", id: `paper-${paper.id}` },
    make("summary", {}, make("span", {}, paper.id),
      make("span", { class: "title" }, paper.title, make("span", { class: "by" }, `${authors}, ${paper.venue}`)),
      make("span", { class: "badge" }, state)),
    body);
  details.addEventListener("toggle", () => {
    if (details.open && !body.childElementCount) unfold(body, paper);
  });
  return details;
}

function unfold(body, paper) {
  const missing = paper.status === "not run" ? paper.status : "not measured";
  const aside = (row) => [row.data, row.n && `n = ${row.n.toLocaleString("en")}`, row.note, `source: ${row.source}`].filter(Boolean).join("; ");
  const columns = [
    { head: "claim", wide: true, cell: (row) => withAside(row.text, aside(row)) },
    { head: "published", cell: (row) => withAside(String(row.published), row.rule && `agrees: ${row.rule}`) },
    { head: "measured", number: true, cell: (row) => (row.measured === null ? missing : withAside(number(row.measured), row.unit)) },
    { head: "95 % interval", number: true, cell: (row) => (row.interval ? row.interval.map((end) => number(end)).join(" to ") : "–") },
    { head: "nearest neighbour", number: true, cell: (row) => number(row.baseline) },
    { head: "ok", cell: (row) => { const [text, kind] = VERDICTS[row.ok]; return make("strong", { class: kind || null }, text); } },
  ];
  const run = paper.date ? `Measured ${paper.date} in ${Math.round(paper.seconds)} s. ` : "";
  const stale = paper.status === "stale" ? "Stale: the code has changed since. " : "";
  body.append(
    make("p", {}, stale, run, "Again: ", make("code", {}, paper.command), ` · `, make("a", { href: paper.url, rel: "noreferrer noopener", target: "_blank" }, paper.url)),
    table(columns, paper.rows),
    make("div", { class: "pictures" }, ...paper.figures.map((figure) => (figure.kind === "chart" ? chart(figure) : images(figure)))),
  );
}

function chart(figure) {
  const element = make("div", { class: "chart tall" });
  let place = 0;
  const traces = figure.series.map((series) => {
    const guide = series.style === "guide";
    const colour = guide ? "#8A8A8A" : COLOURS[place++ % 9];
    const bars = series.low.length
      ? { type: "data", symmetric: false, thickness: 1, array: series.high.map((end, at) => Math.max(0, end - series.y[at])), arrayminus: series.low.map((end, at) => Math.max(0, series.y[at] - end)) }
      : undefined;
    return {
      name: series.label, x: series.x, y: series.y, error_y: bars, line: { color: colour, width: guide ? 1.2 : 2, dash: guide ? "dash" : "solid" },
      mode: series.style === "points" ? "markers" : guide || series.x.length > 40 ? "lines" : "lines+markers", marker: { color: colour },
    };
  });
  const shapes = figure.bands.map(([, from, to]) => ({ type: "rect", yref: "paper", x0: from, x1: to, y0: 0, y1: 1, fillcolor: "#E69F00", opacity: 0.18, line: { width: 0 } }));
  const layout = {
    xaxis: { title: { text: wrapped(figure.x_label) }, type: figure.x_scale }, yaxis: { title: { text: wrapped(figure.y_label) }, type: figure.y_scale },
    shapes, showlegend: traces.length > 1,
  };
  curves(element, traces, layout, `${figure.title}: ${figure.y_label} against ${figure.x_label}`).catch((error) => say(error.message));
  return make("figure", {}, make("figcaption", {}, figure.title), element);
}

/** A title in lines that fit beside a chart. */
const wrapped = (text) => text.replace(/(.{24,38}?) /g, "$1<br>");

function images(figure) {
  const head = make("tr", {}, make("td"), ...figure.columns.map((title) => make("th", { scope: "col" }, title)));
  const rows = figure.images.map((row, place) =>
    make("tr", {}, make("th", { scope: "row" }, figure.rows[place]),
      ...row.map((image, column) => make("td", {}, picture(Uint8Array.from(image.flat()), [1, image.length, image[0].length], `${figure.rows[place]} ${figure.columns[column]}`)))));
  return make("figure", {}, make("figcaption", {}, figure.title), make("div", { class: "scroll" }, make("table", { class: "grid-of-images" }, make("thead", {}, head), make("tbody", {}, ...rows))));
}
