// The four pictures of runs as plotly takes them: traces and layout. Nothing here touches the page.

import { strength } from "./chart.js";
import { UNITS } from "./rundata.js";

export const DASHES = ["solid", "dash", "dot", "dashdot", "longdash", "longdashdot"];
const DAY_S = 86400;

/** `ink` gives a colour by name; `many` runs in one picture are told apart by colour and dash, one alone by direction. */
export const PICTURES = {
  curves: {
    words: "Voltage\u2013capacity",
    ask: (run) => run.curves(),
    draw: (runs, { per, ink, many }) => ({
      traces: runs.flatMap((run) => cycleLines(run, run.answers.curves.curves, many, ink, (curve) => ({
        x: scaled(curve.capacity, run.factor(per)), y: curve.voltage_V, unit: UNITS[per], yUnit: "V",
      }))),
      layout: { xaxis: { title: `Capacity / ${UNITS[per]}`, rangemode: "tozero" }, yaxis: { title: "Voltage / V" } },
    }),
  },
  time: {
    words: "Over time",
    ask: (run, { points, window }) => run.samples(points, window),
    draw: timePicture,
  },
  cycles: {
    words: "By cycle",
    ask: async () => ({}),
    draw: cyclePicture,
  },
  dqdv: {
    words: "dQ/dV",
    ask: (run) => run.dqdv(),
    draw: (runs, { per, ink, many }) => ({
      traces: runs.flatMap((run) => cycleLines(run, run.answers.dqdv.curves, many, ink, (curve) => ({
        x: curve.voltage_V, y: scaled(curve.capacity_per_V, run.factor(per)), unit: "V", yUnit: `${UNITS[per]} V\u207b\u00b9`,
      }))),
      layout: { xaxis: { title: "Voltage / V" }, yaxis: { title: `dQ/dV / ${UNITS[per]} V\u207b\u00b9`, zeroline: true } },
    }),
  },
};

function scaled(values, factor) { return factor === 1 ? values : values.map((value) => value * factor); }

function cycleLines(run, curves, many, ink, points) {
  const cycles = curves.map((curve) => curve.cycle);
  const [oldest, newest] = [Math.min(...cycles), Math.max(...cycles)];
  return curves.map((curve) => {
    const { x, y, unit, yUnit } = points(curve);
    const [colour, dash] = many ? [ink(`run-${run.place + 1}`), DASHES[run.place]] : [ink(curve.word), "solid"];
    return {
      type: "scatter", mode: "lines", x, y, opacity: strength(curve.cycle, oldest, newest),
      line: { color: colour, dash, width: curve.cycle === newest ? 2.2 : 1.4 },
      hovertemplate: `%{x:.5~g} ${unit}<br>%{y:.5~g} ${yUnit}<extra>${safe(many ? `${run.name}, ` : "")}cycle ${curve.cycle}, ${curve.word}</extra>`,
    };
  });
}

/** Plotly reads a few tags and %{...} in its texts: a name from a file must not hold any. */
function safe(text) { return text.replace(/[<>&%{}]/g, " "); }

function timePicture(runs, { per, ink, many, window }) {
  const longest = Math.max(...runs.map((run) => run.about.at?.time_s ?? 0));
  const [unit, second] = longest > 10 * DAY_S ? ["d", 1 / DAY_S] : ["h", 1 / 3600];
  const current = per === "cm2" ? "mA cm\u207b\u00b2" : "mA";
  const traces = runs.flatMap((run) => {
    const { columns } = run.answers.samples;
    const x = columns.time_s.map((time) => time * second);
    const each = 1000 / (per === "cm2" ? run.area_cm2 : 1);
    const [volt, ampere] = many ? [ink(`run-${run.place + 1}`), ink(`run-${run.place + 1}`)] : [ink("ink"), ink("done")];
    const trace = (y, colour, yUnit, more) => ({
      type: "scatter", mode: "lines", x, y, line: { color: colour, dash: many ? DASHES[run.place] : "solid", width: 1.4 },
      hovertemplate: `%{x:.4f} ${unit}<br>%{y:.5~g} ${yUnit}<extra>${safe(many ? run.name : "")}</extra>`, ...more,
    });
    return [trace(columns.voltage_V, volt, "V", {}), trace(columns.current_A.map((value) => (value == null ? null : value * each)), ampere, current, { yaxis: "y2" })];
  });
  const range = window ? { range: window.map((time) => time * second), autorange: false } : { autorange: true };
  return { second, traces, layout: {
    xaxis: { title: `Time / ${unit}`, anchor: "y2", ...range },
    yaxis: { title: "Voltage / V", domain: [0.36, 1], fixedrange: true },
    yaxis2: { title: `Current / ${current}`, domain: [0, 0.28], fixedrange: true },
  } };
}

function cyclePicture(runs, { per, ink, many }) {
  const traces = runs.flatMap((run) => {
    const { cycles } = run.about;
    const x = cycles.map((cycle) => cycle.cycle);
    const each = run.perAh(per);
    const own = ink(`run-${run.place + 1}`);
    const trace = (values, colour, symbol, words, unit, more) => ({
      type: "scatter", mode: "lines+markers", x, y: values, line: { color: colour, width: 1.2 }, marker: { color: colour, symbol, size: 7 },
      hovertemplate: `Cycle %{x}<br>%{y:.5~g} ${unit}<extra>${safe(many ? `${run.name}, ` : "")}${words}</extra>`, ...more,
    });
    return [
      trace(cycles.map((cycle) => cycle.lithiation_Ah * each), many ? own : ink("lithiation"), "triangle-down", "lithiation", UNITS[per], {}),
      trace(cycles.map((cycle) => cycle.delithiation_Ah * each), many ? own : ink("delithiation"), many ? "triangle-up-open" : "triangle-up", "delithiation", UNITS[per], {}),
      trace(cycles.map((cycle) => (cycle.efficiency == null ? null : 100 * cycle.efficiency)), many ? own : ink("running"), "circle", "efficiency", "%", { yaxis: "y2" }),
    ];
  });
  const few = Math.max(...runs.map((run) => run.about.cycles.length)) < 12;
  return { traces, layout: {
    xaxis: { title: "Cycle", anchor: "y2", ...(few ? { dtick: 1 } : {}) },
    yaxis: { title: `Capacity / ${UNITS[per]}`, domain: [0.4, 1], rangemode: "tozero" },
    yaxis2: { title: "Efficiency / %", domain: [0, 0.31] },
  } };
}
