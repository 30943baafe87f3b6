// What check and plan say, in their own words.

import { make } from "./dom.js";
import { duration, fixed } from "./format.js";

/** Each problem as the terminal prints it; one in the protocol itself can be gone to. */
export function problemLines(problems, goTo, file) {
  return problems.map(({ severity, line, text, file: where }) => make("div", { class: `problem ${severity}` },
    make("pre", { tabindex: "0", role: "group", "aria-label": `${severity} in line ${line}` }, text),
    where === file ? make("button", { class: "plain", type: "button", onclick: () => goTo(line) }, `Go to line ${line}`) : null));
}

/** Puts the cursor on a line of a text and shows it. */
export function showLine(text, line) {
  const before = text.value.split("\n").slice(0, line - 1).join("\n").length + (line > 1 ? 1 : 0);
  const length = text.value.slice(before).split("\n")[0].length;
  text.focus();
  text.setSelectionRange(before, before + length);
  text.scrollTop = Math.max(0, (line - 4) * parseFloat(getComputedStyle(text).lineHeight));
}

const HEADS = ["Step", "Cycle", "Times", "What", "Set to", "Ends at", "At most", "Range", "Points"];

export function planTable(plan, more) {
  const rows = plan.steps.map((step) => make("tr", {}, make("th", { scope: "row" }, step.step), ...[
    step.cycles, step.times === 1 ? "" : `${step.times}\u00d7`, step.what, setTo(step), step.ends_at,
    step.at_most_s === null ? "no longest time" : duration(step.at_most_s), step.range ?? "", String(step.points),
  ].map((words) => make("td", {}, words))));
  const most = plan.at_most_s === null ? "There is no longest time" : `At most ${duration(plan.at_most_s)} in all`;
  return [
    make("h3", {}, `Plan of \u201c${plan.protocol}\u201d with cell ${plan.cell}`),
    make("div", { class: "plan-scroll", tabindex: "0", role: "region", "aria-label": "Plan" }, make("table", { class: "plan" },
      make("thead", {}, make("tr", {}, ...HEADS.map((words) => make("th", { scope: "col" }, words)))), make("tbody", {}, ...rows))),
    more ? make("p", { class: "hint" }, `And ${more} more lines.`) : null,
    make("p", {}, `${most}; expected about ${duration(plan.expected_s)} and ${plan.expected_rows} points. + oxidises the working electrode.`),
    ...plan.warnings.map(({ step, message }) => make("p", { class: "warned" }, `Warning${step ? `, step ${step}` : ""}: ${message}`)),
  ].filter(Boolean);
}

function setTo({ current_mA, voltage_V, current_limit_mA, for_each }) {
  const values = for_each ? ` (${Object.entries(for_each).map(([name, value]) => `${name} = ${value}`).join(", ")})` : "";
  if (voltage_V !== null) return `${number(voltage_V)} V${current_limit_mA === null ? "" : `, at most ${number(current_limit_mA)} mA`}${values}`;
  return `${current_mA === null ? "0 A" : `${current_mA > 0 ? "+" : ""}${number(current_mA)} mA`}${values}`;
}

function number(value) { return String(value).replace("-", fixed(-1, 0)[0]); }
