// The small voltage-capacity picture of a tile: light enough for dozens on one screen.

import { draw } from "./dom.js";
import { fixed } from "./format.js";

const EDGE = { left: 40, right: 14, top: 16, bottom: 26 };
const HEIGHT = 190;

/** Draw `model` (see curves.js) into `place`; the answer moves the running point and says false where it left the picture. */
export function sketch(place, model, tip, label) {
  const width = Math.max(220, place.clientWidth);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${HEIGHT}`, role: "img", "aria-label": label });
  const drawn = model?.curves.filter((curve) => curve.capacity.length > 1) ?? [];
  place.replaceChildren(svg);
  if (drawn.length) return fill(svg, width, drawn, model, tip);
  svg.append(draw("text", { class: "none", x: width / 2, y: HEIGHT / 2 }, "No curve yet"));
  return () => true;
}

function fill(svg, width, curves, model, tip) {
  const xs = curves.flatMap((curve) => curve.capacity).concat(tip ? tip.capacity : []);
  const ys = curves.flatMap((curve) => curve.voltage_V).concat(tip ? tip.voltage_V : []);
  const x = scale(0, largest(xs), EDGE.left, width - EDGE.right, 4);
  const y = scale(smallest(ys), largest(ys), HEIGHT - EDGE.bottom, EDGE.top, 4);
  axes(svg, width, x, y, model.basis.unit);
  const newest = largest(curves.map((curve) => curve.cycle));
  const oldest = smallest(curves.map((curve) => curve.cycle));
  for (const curve of curves) svg.append(line(curve, x, y, strength(curve.cycle, oldest, newest)));
  const end = draw("g");
  svg.append(end);
  const move = (to) => {
    end.replaceChildren(...(to ? follow(curves, to, x, y) : []));
    return !to || (to.capacity <= x.end && to.voltage_V >= y.start && to.voltage_V <= y.end);
  };
  move(tip);
  return move;
}

/** The newest cycle is drawn full, older ones fade but stay readable. */
export function strength(cycle, oldest, newest) {
  return cycle === newest ? 1 : 0.36 + 0.3 * ((cycle - oldest) / Math.max(1, newest - oldest));
}

function line(curve, x, y, opacity) {
  const points = curve.capacity.map((q, i) => `${x.at(q).toFixed(1)} ${y.at(curve.voltage_V[i]).toFixed(1)}`);
  return draw("path", { class: `curve ${curve.word}`, "stroke-opacity": opacity.toFixed(2), d: `M${points.join("L")}` });
}

function follow(curves, tip, x, y) {
  const [tx, ty] = [x.at(tip.capacity).toFixed(1), y.at(tip.voltage_V).toFixed(1)];
  const dot = draw("circle", { class: `tip ${tip.word}`, cx: tx, cy: ty, r: 5 });
  const grown = curves.find((curve) => curve.cycle === tip.cycle && curve.word === tip.word);
  if (!grown) return [dot];
  const [lx, ly] = [x.at(grown.capacity.at(-1)).toFixed(1), y.at(grown.voltage_V.at(-1)).toFixed(1)];
  return [draw("path", { class: `curve ${tip.word}`, d: `M${lx} ${ly}L${tx} ${ty}` }), dot];
}

function axes(svg, width, x, y, unit) {
  for (const tick of y.ticks) {
    const at = Math.round(y.at(tick)) + 0.5;
    svg.append(draw("path", { class: "grid", d: `M${EDGE.left} ${at}H${width - EDGE.right}` }));
    svg.append(draw("text", { x: EDGE.left - 7, y: at + 4, "text-anchor": "end" }, y.label(tick)));
  }
  const floor = HEIGHT - EDGE.bottom;
  svg.append(draw("path", { class: "axis", d: `M${EDGE.left} ${floor + 0.5}H${width - EDGE.right}` }));
  const ends = width - EDGE.right - 8 * unit.length;
  for (const tick of x.ticks.filter((tick) => x.at(tick) < ends - 14)) {
    svg.append(draw("text", { x: x.at(tick), y: floor + 17, "text-anchor": "middle" }, x.label(tick)));
  }
  svg.append(draw("text", { x: width - EDGE.right, y: floor + 17, "text-anchor": "end" }, unit));
  svg.append(draw("text", { x: EDGE.left - 7, y: 9, "text-anchor": "end" }, "V"));
}

/** A linear scale whose ends are round numbers. */
function scale(low, high, from, to, count) {
  const step = round((high - low || Math.abs(high) || 1) / count);
  const start = Math.floor(low / step + 1e-9) * step;
  const end = Math.max(start + step, low === 0 ? high * 1.02 : Math.ceil(high / step - 1e-9) * step);
  const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
  const ticks = [];
  for (let tick = start; tick <= end + step * 1e-6; tick += step) ticks.push(tick);
  return {
    ticks, start, end,
    at: (value) => from + ((value - start) / (end - start)) * (to - from),
    label: (value) => fixed(Math.abs(value) < step * 1e-6 ? 0 : value, digits),
  };
}

function round(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
}

function largest(values) { return values.reduce((a, b) => Math.max(a, b), -Infinity); }
function smallest(values) { return values.reduce((a, b) => Math.min(a, b), Infinity); }
