// One run, or several compared: the picture large, and below it what the run was, what happened and its files.

import { make, say } from "./dom.js";
import { clock } from "./format.js";
import { plotly } from "./plot.js";
import { RunActs } from "./runacts.js";
import { RunChart, ink } from "./runchart.js";
import { RunData, UNITS, divisors, readingWords, untilWhole } from "./rundata.js";
import { PICTURES } from "./runpictures.js";
import { RunParts } from "./runparts.js";
import { head, legendOf, outcomeWords } from "./runhead.js";

const REFRESH_MS = 5000;
const ZOOM_WAIT_MS = 120; // a wheel or a held key sends many in a row
const MOVES = [["Earlier", "\u2190", -0.25, 0.75], ["Later", "\u2192", 0.25, 1.25], ["Closer", "+", 0.25, 0.75], ["Wider", "\u2212", -0.5, 1.5]];

export class RunView {
  constructor(place, ids) {
    Object.assign(this, { place, picture: "curves", beside: false, per: null, window: null, charts: [], turn: 0, at: -Infinity, busy: false, stirred: false, gone: false });
    this.runs = ids.map((id, number) => Object.assign(new RunData(id), { place: number }));
  }

  async enter() {
    this.place.replaceChildren(make("p", { class: "empty", role: "status" }, "Loading the run\u2026"));
    plotly().catch(() => {}); // fetched while the run is; drawing says it where it failed
    try {
      await Promise.all(this.runs.map((run) => run.describe()));
    } catch (error) {
      if (!this.gone) this.fail(error);
      return;
    }
    if (this.gone) return;
    this.per = divisors(this.runs)[0][0];
    this.build();
    this.refreshed();
    await this.draw();
  }

  leave() {
    this.gone = true;
    clearTimeout(this.zooming);
    this.acts?.leave();
    for (const chart of this.charts) chart.remove();
  }

  fail(error) {
    const words = error instanceof TypeError ? "The station does not answer." : error.message;
    this.place.replaceChildren(make("div", { class: "empty", role: "alert" }, make("p", {}, `This run cannot be shown: ${words}`),
      make("p", {}, make("button", { class: "act", type: "button", onclick: () => this.enter() }, "Try again"), " ", make("a", { href: "#/runs" }, "All runs"))));
  }

  build() {
    const many = this.runs.length > 1;
    this.part = { head: head(this.runs), legend: make("div"), said: make("p", { class: "said", role: "status" }), charts: make("div", { class: "run-charts" }) };
    this.part.tabs = this.choice("Picture", Object.entries(PICTURES).map(([name, { words }]) => [name, words]), () => this.picture, (name) => { this.picture = name; this.window = null; });
    this.part.per = this.choice("Capacity", divisors(this.runs), () => this.per, (per) => { this.per = per; });
    this.part.layout = many ? this.choice("Runs", [["", "Overlaid"], ["beside", "Side by side"]], () => (this.beside ? "beside" : ""), (way) => { this.beside = way !== ""; }) : null;
    this.part.moves = make("div", { class: "moves", role: "group", "aria-label": "Zoom" }, ...MOVES.map(([words, sign, begin, end]) =>
      make("button", { type: "button", "aria-label": words, title: words, onclick: () => this.charts[0]?.move(begin, end) }, sign)),
    make("button", { type: "button", onclick: () => this.charts.forEach((chart) => chart.whole()) }, "All"));
    this.parts = new RunParts(this.runs, () => this.picture);
    this.acts = many ? null : new RunActs(this.runs[0], () => { this.stirred = true; });
    this.place.replaceChildren(this.part.head.element,
      make("section", { class: "run-picture", "aria-label": "Picture" },
        make("div", { class: "run-controls" }, this.part.tabs, this.part.per, this.part.layout, this.part.moves),
        this.part.legend, this.part.charts, this.part.said),
      this.parts.element, ...(this.acts ? [this.acts.element] : []));
  }

  choice(label, options, chosen, choose) {
    const buttons = options.map(([value, words]) => make("button", { type: "button", "aria-pressed": String(value === chosen()), "data-value": value, onclick: () => {
      choose(value);
      for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.value === chosen()));
      this.draw();
    } }, words));
    return make("div", { class: "tabs", role: "group", "aria-label": label }, ...buttons);
  }

  refreshed() {
    this.at = performance.now();
    this.part.head.show();
    this.part.legend.replaceChildren(legendOf(this.runs, this.beside));
    this.parts.show();
    document.title = `${this.runs.map((run) => run.name).join(", ")} \u00b7 cycler-ctl`;
  }

  /** Ask for what the picture needs; what is on the screen stays until the answer is there. */
  async draw() {
    const turn = this.turn += 1;
    const { ask } = PICTURES[this.picture];
    const wanted = { points: this.points(), window: this.window };
    let painted = null;
    this.busy = true;
    this.part.charts.classList.add("asking");
    try {
      await untilWhole(() => Promise.all(this.runs.map((run) => ask(run, wanted))), (answers) => {
        if (turn !== this.turn || this.gone) return false;
        say(this.part.said, readingWords(answers) || this.hint(answers));
        if (painted === null || answers.every((answer) => answer.whole !== false)) painted = this.paint();
        return true;
      });
      await painted;
      this.told(false);
    } catch (error) {
      if (turn === this.turn && !this.gone) this.told(true, error);
    } finally {
      if (turn === this.turn) { this.busy = false; this.part.charts.classList.remove("asking"); }
    }
  }

  told(bad, error) {
    this.part.said.classList.toggle("bad", bad);
    this.place.classList.toggle("run-stale", bad);
    if (bad) say(this.part.said, `${error instanceof TypeError ? "The station does not answer" : error.message}: what is shown is old, of ${clock(Date.now() / 1000 - (performance.now() - this.at) / 1000)}.`);
  }

  hint(answers) {
    if (this.runs.every((run) => !run.about.rows)) return "No rows yet: the first comes with the first reading.";
    if (this.picture === "cycles") return this.runs.every((run) => !run.about.cycles.length) ? "No completed cycle yet." : "";
    if (this.picture === "dqdv") return answers.some((answer) => answer.curves?.length) ? answers[0].method : "No current has flowed yet.";
    if (this.picture === "curves") return answers.some((answer) => answer.curves?.length) ? this.chosenCycles(answers) : "No curve yet: no current has flowed.";
    return "";
  }

  /** What is not shown is said. */
  chosenCycles(answers) {
    const drawn = new Set(answers.flatMap((answer) => answer.curves.map((curve) => curve.cycle))).size;
    const most = Math.max(...this.runs.map((run) => run.about.cycles.length));
    return most > drawn ? `${drawn} of ${most} cycles are drawn, the first and the newest among them.` : "";
  }

  points() { return Math.max(600, Math.min(8000, 4 * Math.round(this.part.charts.clientWidth / (this.beside ? this.runs.length : 1)))); }

  async paint() {
    const groups = this.beside ? this.runs.map((run) => [run]) : [this.runs];
    this.arrange(groups.length);
    const many = this.runs.length > 1;
    this.part.moves.hidden = this.picture !== "time";
    this.part.legend.replaceChildren(legendOf(this.runs, !many || this.picture === "time" || this.picture === "cycles" ? this.picture : null));
    const revision = [this.picture, this.per, this.beside, this.window].join();
    const drawn = groups.map((runs) => PICTURES[this.picture].draw(runs, { per: this.per, ink, many, window: this.window }));
    this.second = drawn[0].second;
    if (drawn.length > 1) shareAxes(drawn);
    await plotly();
    await Promise.all(drawn.map((picture, number) => this.charts[number].paint(picture, this.fileName(groups[number]), this.label(groups[number]), revision)));
  }

  fileName(runs) { return `${runs.map((run) => run.id).join("_")}-${this.picture}`; }

  label(runs) {
    const what = PICTURES[this.picture].words;
    const newest = runs.map((run) => `${run.name}, ${outcomeWords(run.about)}, ${run.about.cycles.length} completed cycles`);
    return `${what} of ${newest.join("; ")}. In ${UNITS[this.per]}. Keys: plus, minus, arrows and 0 zoom; the tables below hold the numbers.`;
  }

  arrange(count) {
    while (this.charts.length > count) this.charts.pop().remove();
    while (this.charts.length < count) {
      const chart = new RunChart((range) => this.zoom(range));
      this.charts.push(chart);
      this.part.charts.append(chart.element);
    }
    this.part.charts.classList.toggle("beside", count > 1);
  }

  /** Only the picture over time asks again: a part of it has more points than the whole showed. */
  zoom(range) {
    if (this.picture !== "time") return;
    const window = range && [Math.max(0, range[0] / this.second), Math.max(0, range[1] / this.second)];
    if (String(window) === String(this.window)) return;
    this.window = window;
    clearTimeout(this.zooming);
    this.zooming = setTimeout(() => this.draw(), ZOOM_WAIT_MS);
  }

  restyle() { if (this.part) this.draw(); }

  async everySecond() {
    const due = performance.now() - this.at > REFRESH_MS && this.runs.some((run) => run.live);
    if (this.busy || !this.part || !(due || this.stirred)) return;
    const changing = this.runs.filter((run) => run.live || this.stirred);
    Object.assign(this, { busy: true, stirred: false });
    try {
      await Promise.all(changing.map((run) => run.describe()));
      if (this.gone) return;
      this.refreshed();
      await this.draw();
    } catch (error) {
      if (!this.gone) this.told(true, error);
    } finally {
      this.busy = false;
    }
  }
}

/** Side by side one length means the same in all pictures. */
function shareAxes(pictures) {
  const ranges = new Map([["x", "xaxis"], ["y", "yaxis"], ["y2", "yaxis2"]].map(([letter, axis]) => [axis, extent(pictures, letter)]));
  for (const { layout } of pictures) for (const [axis, range] of ranges) if (range && layout[axis] && !layout[axis].range) Object.assign(layout[axis], { range, autorange: false });
}

function extent(pictures, letter) {
  let [low, high] = [Infinity, -Infinity];
  for (const { traces, layout } of pictures) for (const trace of traces) {
    if (letter !== "x" && (trace.yaxis ?? "y") !== letter) continue;
    const axis = layout[letter === "x" ? "xaxis" : letter === "y" ? "yaxis" : "yaxis2"];
    if (axis?.rangemode === "tozero") low = Math.min(low, 0);
    for (const value of trace[letter === "x" ? "x" : "y"]) if (value != null) { low = Math.min(low, value); high = Math.max(high, value); }
  }
  const room = 0.04 * (high - low) || 0.5;
  return high < low ? null : [low === 0 && letter === "x" ? 0 : low - room, high + room];
}
