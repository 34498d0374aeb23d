// Start: open a visit, make the tabs work, and hand each tab to its module when it is first shown.

import { begin, say } from "./api.js";
import { usePlotly } from "./chart.js";
import { $ } from "./dom.js";

const MODULES = { recall: "./recall.js", landscape: "./landscape.js", capacity: "./capacity.js", papers: "./papers.js" };
const tabs = [...document.querySelectorAll('[role="tab"]')];
const started = new Set();
let known = null;

async function show(tab, focus) {
  for (const other of tabs) {
    const chosen = other === tab;
    other.setAttribute("aria-selected", chosen);
    other.tabIndex = chosen ? 0 : -1;
    $(other.getAttribute("aria-controls")).hidden = !chosen;
  }
  if (focus) tab.focus();
  const name = tab.getAttribute("aria-controls");
  history.replaceState(null, "", `#${name}`);
  if (known && !started.has(name)) {
    started.add(name);
    const module = await import(MODULES[name]);
    await module.start($(name), known);
  }
  dispatchEvent(new Event("resize")); // charts that were hidden take their width now
}

for (const tab of tabs) {
  tab.addEventListener("click", () => show(tab));
  tab.addEventListener("keydown", (event) => {
    const place = tabs.indexOf(tab);
    const next = { ArrowRight: place + 1, ArrowLeft: place - 1 + tabs.length, Home: 0, End: tabs.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    show(tabs[next % tabs.length], true);
  });
}

try {
  known = await begin();
  usePlotly(known.plotly);
  say("Ready.");
  await show(tabs.find((tab) => `#${tab.getAttribute("aria-controls")}` === location.hash) ?? tabs[0]);
} catch (error) {
  say(error.message);
}
