// Addresses after '#': '#/runs' is the list of all runs, '#/run/<id>[,<id>...]' one run or several compared.
// Everything else is the overview, which app.js shows.

import { RunList } from "./runlist.js";
import { RunView } from "./runview.js";

const MOST_COMPARED = 6;
const ADDRESS = /^#\/run\/([a-z0-9-]+(?:,[a-z0-9-]+)*)$/;
const place = document.getElementById("run");
let shown = null;

export function route() {
  const runs = location.hash.match(ADDRESS)?.[1].split(",") ?? null;
  const list = /^#\/runs(?:\/with\/[a-z0-9,-]+)?$/.test(location.hash);
  shown?.leave();
  document.body.classList.toggle("at-run", list || runs !== null);
  place.hidden = !list && runs === null;
  mark(list || runs !== null ? "#/runs" : "#");
  shown = runs ? new RunView(place, [...new Set(runs)].slice(0, MOST_COMPARED)) : list ? new RunList(place) : null;
  if (!shown) { place.replaceChildren(); return; }
  shown.enter();
  scrollTo(0, 0);
}

function mark(current) {
  for (const link of document.querySelectorAll("#places a")) {
    if (link.getAttribute("href") === current) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

addEventListener("hashchange", route);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => shown?.restyle?.());
setInterval(() => { if (!document.hidden) shown?.everySecond?.(); }, 1000);
route();
