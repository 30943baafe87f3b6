// One channel large: the curves to zoom into, the record over time, the cycles, the actions.

import { ActBar } from "./actbar.js";
import { strength } from "./chart.js";
import { Curves } from "./curves.js";
import { icon, legend, make, say } from "./dom.js";
import { capacity, clock, current, fixed, stateOf, temperature, voltage } from "./format.js";
import { plotly } from "./plot.js";
import { showOutput, showReason, showState, showValue, values } from "./tile.js";

const CROSS = "M5 5L15 15M15 5L5 15";
const VIEWS = [["curves", "Voltage\u2013capacity"], ["time", "Over time"]];
const REFRESH_MS = 5000;

export class Detail {
  constructor(dialog, { get }) {
    Object.assign(this, { dialog, get, channel: null, view: "curves", curves: null, run: null, graph: null, at: -Infinity });
    dialog.addEventListener("close", () => { if (!dialog.open) this.leave(); }); // told late: it may be open again
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }

  open(channel) {
    this.channel = channel;
    this.build();
    this.changed(channel);
    this.sampled(channel);
    this.dialog.showModal();
    this.load();
  }

  leave() {
    this.clear("");
    Object.assign(this, { channel: null, curves: null, run: null, at: -Infinity });
    this.dialog.replaceChildren();
  }

  build() {
    const p = this.part = {
      state: make("span", { class: "state" }), subtitle: make("p"), reason: make("p", { class: "reason", hidden: true }),
      voltage: make("dd"), current: make("dd"), temperature: make("dd"), output: make("p", { class: "output" }),
      canvas: make("div", { class: "canvas" }, make("p", {}, "Drawing\u2026")), facts: make("dl"),
      cycles: make("div"), acts: new ActBar(),
    };
    p.legend = legend();
    p.tabs = make("div", { class: "tabs", role: "group", "aria-label": "Chart" }, ...VIEWS.map(([view, words]) => this.tab(view, words)));
    p.legend.hidden = this.view !== "curves";
    this.dialog.replaceChildren(make("div", { class: "detail-body" },
      make("div", { class: "detail-head" },
        make("div", {}, make("h2", { id: "detail-title" }, this.channel.name, p.state), p.subtitle),
        make("button", { class: "close", type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon(CROSS, 20))),
      p.reason, values(p),
      make("div", { class: "detail-main" },
        make("div", { class: "chart" }, make("div", { class: "chart-head" }, p.tabs, p.legend), p.canvas),
        make("div", { class: "facts" }, p.output, p.facts, p.cycles)),
      p.acts.element));
  }

  tab(view, words) {
    const chosen = view === this.view;
    const choose = () => this.choose(view);
    return make("button", { type: "button", "aria-pressed": String(chosen), "data-view": view, onclick: choose }, words);
  }

  changed(channel) {
    if (channel !== this.channel) return;
    const { part, channel: { status } } = this;
    showState(part.state, status);
    say(part.subtitle, [status.protocol, status.cell ? `cell ${status.cell}` : null].filter(Boolean).join(" \u00b7 "));
    showReason(part.reason, status);
    showOutput(part.output, status.energised);
    this.showFacts(status);
    part.acts.show(channel);
  }

  showFacts(status) {
    const facts = [
      ["Doing", status.doing ?? status.what], ["Cycle", status.cycle], ["Step", status.step],
      ["Done about", status.state === "running" && status.eta_utc_s != null ? clock(status.eta_utc_s) : null],
      ["Since", clock(status.since_utc_s)], ["Instrument", status.instrument],
      ["Protection", status.protection ? `class ${status.protection}` : null], ["Run", status.run],
      ["To publish", status.rows_waiting ? `${status.rows_waiting} rows` : null],
    ].filter(([, value]) => value != null && value !== "");
    const text = JSON.stringify(facts);
    if (this.part.facts.dataset.text === text) return;
    this.part.facts.dataset.text = text;
    this.part.facts.replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, name === "Run" ? this.runLink(String(value)) : String(value))]));
  }

  runLink(run) { return make("a", { href: `#/run/${run}`, onclick: () => this.dialog.close() }, run); }

  sampled(channel) {
    if (channel !== this.channel || !this.part) return;
    const sample = channel.sample;
    showValue(this.part.voltage, voltage(sample?.voltage_V));
    showValue(this.part.current, current(sample?.current_A));
    showValue(this.part.temperature, temperature(sample?.temperature_degC));
  }

  everySecond() {
    const running = this.channel && stateOf(this.channel.status.state).tone === "running";
    if (running && performance.now() - this.at > REFRESH_MS) this.load();
  }

  choose(view) {
    this.view = view;
    this.part.legend.hidden = view !== "curves";
    for (const tab of this.part.tabs.children) tab.setAttribute("aria-pressed", String(tab.dataset.view === view));
    this.clear("Drawing\u2026");
    this.load();
  }

  /** A picture's place is never used for the next: plotly leaves traces. */
  clear(words) {
    if (this.graph) window.Plotly.purge(this.graph);
    this.graph = null;
    this.part.canvas.replaceChildren(make("p", {}, words));
  }

  restyle() { if (this.channel) this.load(); }

  async load() {
    const channel = this.channel;
    const run = channel.status.run ?? channel.sample?.run;
    this.at = performance.now();
    if (!run) { this.clear("This channel has not run yet."); return; }
    if (this.curves?.run !== run) this.curves = new Curves(this.get, run, 700, 60);
    try {
      const view = this.view;
      const [, , picture] = await Promise.all([plotly(), this.loadCycles(run), view === "curves" ? this.curvePicture() : this.timePicture(run)]);
      if (channel === this.channel && view === this.view) await this.paint(run, picture);
    } catch (error) {
      if (channel === this.channel) this.clear(`This chart cannot be drawn: ${error.message}`);
    }
  }

  async paint(run, { traces, layout }) {
    if (!this.graph) {
      this.graph = make("div", { class: "graph" });
      this.part.canvas.replaceChildren(this.graph);
    }
    await window.Plotly.react(this.graph, traces, { ...base(), ...layout, uirevision: `${run} ${this.view}` }, {
      displaylogo: false, responsive: true, modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["zoomIn2d", "zoomOut2d", "resetScale2d"]],
      toImageButtonOptions: { format: "svg", filename: `${run}-${this.view}` },
    });
  }

  async curvePicture() {
    await this.curves.refresh();
    const { curves, basis } = this.curves;
    const cycles = curves.map((curve) => curve.cycle);
    const [oldest, newest] = [Math.min(...cycles), Math.max(...cycles)];
    const traces = curves.map((curve) => ({
      type: "scatter", mode: "lines", x: curve.capacity, y: curve.voltage_V, opacity: strength(curve.cycle, oldest, newest),
      line: { color: colour(curve.word), width: curve.cycle === newest ? 2.2 : 1.5 }, name: `Cycle ${curve.cycle} ${curve.word}`,
      hovertemplate: `%{x:.5~g} ${basis.unit}<br>%{y:.4f} V<extra>Cycle ${curve.cycle}, ${curve.word}</extra>`,
    }));
    const title = basis.of ? `Capacity per gram of ${basis.of} / mAh g<sup>\u22121</sup>` : "Capacity / mAh";
    return { traces, layout: { xaxis: axis(title, { range: [0, 1.03 * most(curves)] }), yaxis: axis("Voltage / V") } };
  }

  async timePicture(run) {
    const { columns } = await this.get(`/api/v1/runs/${run}/samples?points=4000`);
    const hours = columns.time_s.map((time) => time / 3600);
    const trace = (name, y, ink, unit, extra) => ({
      type: "scatter", mode: "lines", name, x: hours, y, line: { color: ink, width: 1.5 },
      hovertemplate: `%{x:.3f} h<br>%{y:.5~g} ${unit}<extra></extra>`, ...extra,
    });
    const traces = [
      trace("Voltage", columns.voltage_V, colour("ink"), "V", {}),
      trace("Current", columns.current_A.map((value) => value * 1000), colour("done"), "mA", { yaxis: "y2" }),
    ];
    return { traces, layout: {
      xaxis: axis("Time / h", { anchor: "y2" }), yaxis: axis("Voltage / V", { domain: [0.36, 1] }), yaxis2: axis("Current / mA", { domain: [0, 0.28] }),
    } };
  }

  async loadCycles(run) {
    const { cycles, basis } = await this.get(`/api/v1/runs/${run}`);
    if (!cycles.length || !this.part) return;
    const shown = (charge_Ah) => capacity((charge_Ah * 1000) / (basis.mass_g ?? 1));
    const rows = cycles.map((cycle) => make("tr", {},
      make("td", {}, String(cycle.cycle)), make("td", {}, shown(cycle.lithiation_Ah)), make("td", {}, shown(cycle.delithiation_Ah)),
      make("td", {}, cycle.efficiency != null ? fixed(100 * cycle.efficiency, 1) : "\u2013")));
    this.part.cycles.replaceChildren(make("h3", {}, `Cycles, ${basis.unit}`), make("div", { class: "cycles-scroll", tabindex: "0", role: "group", "aria-label": "Cycles" },
      make("table", { class: "cycles" },
        make("thead", {}, make("tr", {}, ...["", "Lithiation", "Delithiation", "Efficiency / %"].map((words) => make("th", { scope: "col" }, words)))),
        make("tbody", {}, ...rows.reverse()))));
  }
}

function most(curves) { return curves.reduce((top, curve) => Math.max(top, curve.capacity.at(-1) ?? 0), 0) || 1; }

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(); }

function axis(title, more) {
  const line = colour("line");
  return { title: { text: title, standoff: 12 }, gridcolor: colour("grid"), linecolor: line, zerolinecolor: line, tickcolor: line, ticks: "outside", ticklen: 4, automargin: true, ...more };
}

function base() {
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest", dragmode: "zoom",
    margin: { l: 64, r: 12, t: 34, b: 52 }, modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("faint"), activecolor: colour("ink") }, separators: ".", font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: colour("soft") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
  };
}
