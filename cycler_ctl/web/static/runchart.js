// One plotly picture that stays until the next one is there, and can be zoomed by mouse, fingers, buttons and keys.

import { make } from "./dom.js";
import { plotly } from "./plot.js";

const COARSE = matchMedia("(pointer: coarse)");

export class RunChart {
  /** `zoomed(range)` is told what part of the x axis a person chose, null for all of it. */
  constructor(zoomed) {
    this.graph = make("div", { class: "graph" });
    this.element = make("div", { class: "canvas", tabindex: "0", role: "group", onkeydown: (event) => this.key(event) }, this.graph);
    Object.assign(this, { zoomed, drawn: false });
  }

  async paint({ traces, layout }, name, label, revision) {
    await plotly();
    this.element.setAttribute("aria-label", label);
    await window.Plotly.react(this.graph, traces, dressed(layout, revision), {
      displaylogo: false, responsive: true, modeBarButtons: [["toImage"], ["zoom2d", "pan2d"], ["resetScale2d"]],
      toImageButtonOptions: { format: "svg", filename: name },
    });
    if (!this.drawn) this.graph.on("plotly_relayout", (change) => this.changed(change));
    this.drawn = true;
  }

  changed(change) {
    if (change["xaxis.autorange"]) this.zoomed(null);
    else if ("xaxis.range[0]" in change) this.zoomed([Number(change["xaxis.range[0]"]), Number(change["xaxis.range[1]"])]);
    else if (Array.isArray(change["xaxis.range"])) this.zoomed(change["xaxis.range"].map(Number));
  }

  key(event) {
    const move = { "+": [0.25, 0.75], "=": [0.25, 0.75], "-": [-0.5, 1.5], ArrowLeft: [-0.25, 0.75], ArrowRight: [0.25, 1.25] }[event.key];
    if (event.target !== this.element || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "0") this.whole();
    else if (move) this.move(...move);
    else return;
    event.preventDefault();
  }

  /** Show from `begin` to `end` of what is visible, as parts of its width. */
  move(begin, end) {
    if (!this.drawn) return;
    const [low, high] = this.graph._fullLayout.xaxis.range.map(Number);
    window.Plotly.relayout(this.graph, { "xaxis.range": [low + begin * (high - low), low + end * (high - low)], "xaxis.autorange": false });
  }

  whole() { if (this.drawn) window.Plotly.relayout(this.graph, { "xaxis.autorange": true, "yaxis.autorange": true }); }

  remove() {
    if (this.drawn) window.Plotly.purge(this.graph);
    this.element.remove();
  }
}

export function ink(name) { return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(); }

function dressed({ xaxis, yaxis, yaxis2 }, revision) {
  const axes = { xaxis: axis(xaxis), yaxis: axis(yaxis), ...(yaxis2 ? { yaxis2: axis(yaxis2) } : {}) };
  return {
    ...axes, uirevision: revision, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest",
    dragmode: COARSE.matches ? false : "zoom", margin: { l: 62, r: 10, t: 30, b: 50 }, separators: ".",
    modebar: { bgcolor: "rgba(0,0,0,0)", color: ink("faint"), activecolor: ink("ink") },
    font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink("soft") },
    hoverlabel: { bgcolor: ink("card"), bordercolor: ink("line"), font: { color: ink("ink") } },
  };
}

function axis({ title, ...more }) {
  const line = ink("line");
  return {
    title: { text: title, standoff: 10 }, gridcolor: ink("grid"), linecolor: line, zerolinecolor: line, tickcolor: line, zeroline: false,
    ticks: "outside", ticklen: 4, automargin: true, exponentformat: "none", ...more,
  };
}
