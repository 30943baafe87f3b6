// Below the picture: what the run was, what happened, its protocol, steps and cycles in figures, its files.
// A part is only built anew when its content changed, so that reading and selecting are not disturbed.

import { make } from "./dom.js";
import { capacity, clock, duration, fixed } from "./format.js";
import { fileList } from "./runfiles.js";
import { outcomeWords } from "./runhead.js";
import { protocolText } from "./runprotocol.js";

const MOST_LINES = 300;

export class RunParts {
  constructor(runs, picture) {
    this.runs = runs;
    const one = runs.length === 1;
    this.parts = one ? [
      new Part("What happened", "run-events", ([run]) => [run.events, eventList]),
      new Part("Protocol", "run-protocol", ([{ about, live }]) => [[about.protocol_text, about.lines, about.at?.step_id, live], protocolText]),
      new Part("Cycles", "run-cycles", ([{ about }]) => [[about.cycles, about.basis], cycleTable]),
      new Part("Steps and why they ended", "run-steps", ([{ about }]) => [about.steps, stepTable]),
      new Part("The run", "run-facts", ([run]) => [facts(run), factList]),
    ] : [new Part("Compared", "run-compared", (all) => [all.map(comparedLine), comparedTable])];
    const files = runs.map((run) => make("section", { class: "card run-files" }, make("h3", {}, one ? "Files" : `Files of ${run.name}`), fileList(run.id, picture)));
    this.element = make("div", { class: `run-parts${one ? "" : " many"}` }, ...this.parts.map((part) => part.element), ...files);
  }

  show() { for (const part of this.parts) part.show(this.runs); }
}

class Part {
  constructor(title, name, content) {
    this.content = content;
    this.body = make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title });
    this.element = make("section", { class: `card ${name}` }, make("h3", {}, title), this.body);
  }

  show(runs) {
    const [data, build] = this.content(runs);
    const text = JSON.stringify(data);
    if (text === this.text) return;
    this.text = text;
    const top = this.body.scrollTop;
    this.body.replaceChildren(build(data));
    this.body.scrollTop = top;
    showCurrent(this.body);
  }
}

function showCurrent(body) {
  const line = body.querySelector("[aria-current=step]");
  if (line) body.scrollTop = Math.max(0, line.offsetTop - body.clientHeight / 3);
}

function eventList(events) {
  if (!events.length) return make("p", { class: "none" }, "Nothing yet.");
  const lines = events.slice(-MOST_LINES).reverse().map(({ time_s, utc_s, kind, tone, words }) => make("li", { class: tone },
    make("span", { class: "when", title: clock(utc_s) }, duration(time_s)), make("span", {}, make("b", {}, kind.replace(/_/g, " ")), ` ${words}`)));
  return make("ol", { class: "events" }, ...lines, more(events.length));
}

function more(count) { return count > MOST_LINES ? make("li", { class: "calm" }, `${count - MOST_LINES} older ones are in the report and the bundle.`) : null; }

function cycleTable([cycles, basis]) {
  if (!cycles.length) return make("p", { class: "none" }, "No completed cycle yet.");
  const shown = (charge_Ah) => capacity((charge_Ah * 1000) / (basis.mass_g ?? 1));
  const unit = basis.mass_g ? "mAh/g" : "mAh";
  return table([`Cycle`, `Lithiation / ${unit}`, `Delithiation / ${unit}`, "Efficiency / %"], cycles.slice(-MOST_LINES).reverse().map((cycle) => [
    cycle.cycle, shown(cycle.lithiation_Ah), shown(cycle.delithiation_Ah), cycle.efficiency == null ? "\u2013" : fixed(100 * cycle.efficiency, 1)]));
}

function stepTable(steps) {
  if (!steps.length) return make("p", { class: "none" }, "No step has ended yet.");
  return table(["Step", "Cycle", "Ended by", "Took", "mAh"], steps.slice(-MOST_LINES).reverse().map((step) => [
    `${step.step_id} ${step.label ?? step.word}`, step.cycle, [step.end_reason, ...step.also_met].join(", also "),
    duration(step.ended_s - step.started_s), fixed(1000 * step.charge_Ah, 4)]), "words");
}

function facts({ about, live, id }) {
  const { cell, instrument, settings } = about;
  return [
    ["Run", id], ["State", live ? "running" : outcomeWords(about)], ["Why", about.reason], ["Began", day(about.started_utc_s)],
    ["Ended", about.ended_utc_s && day(about.ended_utc_s)], ["Rows", about.rows], ["Station", `${about.station}, ${about.site}`], ["Channel", about.channel],
    ["Started by", settings.started_by], ["Instrument", [instrument.maker, instrument.model, instrument.serial].filter(Boolean).join(" ")],
    ["Cell", cell.name], ["Working electrode", cell.working_electrode], ["Counter electrode", cell.counter_electrode], ["Electrolyte", cell.electrolyte],
    ["Active mass", cell.active_mass_g && `${fixed(1000 * cell.active_mass_g, 3)} mg ${cell.active_material ?? ""}`], ["Area", cell.area_cm2 && `${fixed(cell.area_cm2, 3)} cm\u00b2`],
    ["Temperature", cell.temperature_degC == null ? null : `${cell.temperature_degC} \u00b0C`], ["Notes", cell.notes],
  ].filter(([, value]) => value != null && value !== "").map(([name, value]) => [name, String(value)]);
}

function factList(found) { return make("dl", {}, ...found.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)])); }

function comparedLine(run) {
  const { about } = run;
  const last = about.cycles.at(-1);
  const mg = run.mass_g ? fixed(1000 * run.mass_g, 3) : "\u2013";
  return [run.name, run.id, about.protocol_name, run.live ? "running" : outcomeWords(about), mg, run.area_cm2 ? fixed(run.area_cm2, 3) : "\u2013", about.cycles.length,
    last ? capacity(last.delithiation_Ah * run.perAh(run.mass_g ? "gram" : "cell")) + (run.mass_g ? " mAh/g" : " mAh") : "\u2013",
    last?.efficiency == null ? "\u2013" : `${fixed(100 * last.efficiency, 1)} %`];
}

function comparedTable(lines) {
  return table(["Cell", "Run", "Protocol", "State", "Mass / mg", "Area / cm\u00b2", "Cycles", "Last delithiation", "Its efficiency"], lines, "words");
}

function table(names, lines, kind = "") {
  return make("table", { class: `cycles ${kind}` }, make("thead", {}, make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, ...lines.map((line) => make("tr", {}, ...line.map((value) => make("td", {}, String(value)))))));
}

export function day(utc_s) {
  const at = new Date(utc_s * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}
