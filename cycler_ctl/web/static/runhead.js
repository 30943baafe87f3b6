// The head of a run's page: which run it is and how it goes; of several, which colour is which.

import { draw, icon, make, say } from "./dom.js";
import { clock, stateOf } from "./format.js";
import { DASHES } from "./runpictures.js";

const STROKES = { solid: "", dash: "7 4", dot: "1.5 3.5", dashdot: "7 3 1.5 3", longdash: "12 4", longdashdot: "12 3 1.5 3" };

export function outcomeWords(about) {
  return stateOf(nameOfState(about)).words.toLowerCase();
}

function nameOfState(about) { return about.outcome ?? about.state; }

export function head(runs) { return runs.length > 1 ? headOfMany(runs) : headOfOne(runs[0]); }

function headOfMany(runs) {
  const title = make("h2", { tabindex: "-1" }, `${runs.length} runs compared`);
  const more = make("a", { href: `#/runs/with/${runs.map((run) => run.id).join(",")}` }, "Choose others");
  return { element: make("div", { class: "run-head" }, make("div", {}, title), make("p", { class: "run-links" }, more)), show: () => {} };
}

function headOfOne(run) {
  const part = { state: make("span", { class: "state" }), now: make("p", { class: "run-now" }), reason: make("p", { class: "reason", hidden: true }), open: make("span") };
  const element = make("div", { class: "run-head" },
    make("div", {}, make("h2", { tabindex: "-1" }, run.name, part.state), make("p", {}, run.about.protocol_name), part.now),
    make("p", { class: "run-links" }, part.open, make("a", { href: `#/runs/with/${run.id}` }, "Compare\u2026")), part.reason);
  return { element, show: () => showOne(run, part) };
}

function showOne(run, part) {
  const { about } = run;
  const state = stateOf(nameOfState(about));
  part.state.className = `state ${state.tone}`;
  part.state.replaceChildren(icon(state.shape, 13), state.words);
  const at = about.at ? `cycle ${about.at.cycle}, step ${about.at.step_id}` : "no rows yet";
  say(part.now, run.live ? `On ${about.channel}: ${at}, last row ${about.at ? clock(about.at.utc_s) : "\u2013"}` : `On ${about.channel}, ${clock(about.started_utc_s)}`);
  part.reason.hidden = run.live || !about.reason;
  part.reason.className = `reason ${state.tone === "calm" || state.tone === "done" ? "told" : state.tone}`;
  say(part.reason, `${state.words}: ${about.reason}`);
  const tile = document.querySelector(`[data-channel="${CSS.escape(about.channel)}"] .open`);
  if (!run.live || !tile || part.open.childElementCount) { if (!run.live) part.open.replaceChildren(); return; }
  part.open.replaceChildren(make("button", { class: "act", type: "button", "aria-haspopup": "dialog", onclick: () => tile.click() }, `Open ${about.channel}`));
}

/** `picture` with colours of its own, else null: then colours are directions of one run, or runs. */
export function legendOf(runs, picture) {
  if (runs.length > 1) return make("ul", { class: "legend runs" }, ...runs.map((run) => runOf(run, runs)));
  const lines = { time: [["ink", "Voltage"], ["done", "Current"]], cycles: [["lithiation", "Lithiation"], ["delithiation", "Delithiation"], ["running", "Efficiency"]] }[picture]
    ?? [["lithiation", "Lithiation"], ["delithiation", "Delithiation"]];
  const newest = ["time", "cycles"].includes(picture) ? [] : [make("li", {}, "The newest cycle is the strongest")];
  return make("ul", { class: "legend" }, ...lines.map(([name, words]) => make("li", {}, stroke(name, "solid"), words)), ...newest);
}

function stroke(name, dash) {
  return draw("svg", { viewBox: "0 0 34 8", class: `stroke ${name}`, "aria-hidden": "true" }, draw("path", { d: "M1 4H33", "stroke-dasharray": STROKES[dash] || null }));
}

function runOf(run, runs) {
  const others = runs.filter((other) => other !== run).map((other) => other.id).join(",");
  return make("li", {}, stroke(`run-${run.place + 1}`, DASHES[run.place]), make("a", { href: `#/run/${run.id}` }, run.name), ` ${run.id} `,
    make("a", { href: `#/run/${others}`, "aria-label": `Remove ${run.name} ${run.id}` }, "\u00d7"));
}
