// Curves by Plotly, which is fetched when the first one is drawn, in the colours of the page.

export const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8A60A6", "#8C6D31", "#999933", "#8A8A8A"];

let library = null;
let wheel = null;
const drawn = new Map();

/** Say which `version` to ask for, so that browsers keep it, and the ids of `styles` that it is not to add. */
export function usePlotly(given) {
  wheel = given;
}

function plotly() {
  library ??= new Promise((resolve, reject) => {
    document.head.append(...wheel.styles.map((id) => Object.assign(document.createElement("meta"), { id })));
    const script = document.createElement("script");
    script.src = `/plotly.min.js?v=${encodeURIComponent(wheel.version)}`;
    script.onload = () => resolve(window.Plotly);
    script.onerror = () => {
      library = null;
      reject(new Error("The plotting library did not load."));
    };
    document.head.append(script);
  });
  return library;
}

/** Draw or redraw curves in an element. `description` stands for them where they are not seen. */
export async function curves(element, traces, layout, description) {
  drawn.set(element, [traces, layout]);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", description);
  const Plotly = await plotly();
  if (drawn.get(element)?.[0] !== traces) return;
  await Plotly.react(element, traces, themed(layout), { displayModeBar: false, responsive: true });
}

function themed(layout) {
  const style = getComputedStyle(document.documentElement);
  const [ink, quiet, line] = ["--ink", "--quiet", "--line"].map((name) => style.getPropertyValue(name).trim());
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, tickcolor: line, automargin: true };
  return {
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, family: "inherit", size: 12 },
    margin: { l: 56, r: 12, t: 10, b: 44 },
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { color: quiet } },
    hovermode: "closest",
    dragmode: false,
    ...layout,
    xaxis: { ...axis, ...layout.xaxis },
    yaxis: { ...axis, ...layout.yaxis },
  };
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  for (const [element, [traces, layout]] of drawn) window.Plotly?.react(element, traces, themed(layout));
});
