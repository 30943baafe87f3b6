// One channel on the overview.

import { sketch } from "./chart.js";
import { icon, make, say } from "./dom.js";
import { clock, current, outputOf, stateOf, temperature, voltage } from "./format.js";
import { nextWords } from "./queuewords.js";

const LATCHED = new Set(["tripped", "faulted", "cannot_deenergise", "interrupted", "aborted", "stopped"]);

export class Tile {
  constructor(name, { open, stop, queue }) {
    this.name = name;
    this.part = {
      open: make("button", { class: "open", type: "button", "aria-haspopup": "dialog", onclick: open }, name),
      state: make("span", { class: "state" }),
      protocol: make("p", { class: "protocol" }),
      cell: make("p"),
      reason: make("p", { class: "reason", hidden: true }),
      plot: make("div", { class: "plot" }),
      voltage: make("dd"), current: make("dd"), temperature: make("dd"),
      where: make("p"),
      what: make("p", { class: "what" }),
      next: make("button", { class: "plain next", type: "button", hidden: true, "aria-haspopup": "dialog", onclick: queue }),
      output: make("p", { class: "output" }),
      age: make("span", { class: "age" }),
      stop: make("button", { class: "act stop", type: "button", hidden: true, "aria-label": `Stop ${name}`, onclick: stop }, "Stop"),
    };
    this.element = this.build();
  }

  build() {
    const p = this.part;
    return make("article", { class: "tile", "aria-label": `Channel ${this.name}`, "data-channel": this.name },
      make("div", { class: "tile-head" }, make("h2", { class: "open-wrap" }, p.open), p.state),
      make("div", { class: "titles" }, p.protocol, p.cell),
      p.reason, p.plot,
      values(p),
      make("div", { class: "doing" }, p.where, p.what, p.next),
      make("div", { class: "tile-foot" }, p.output, make("div", { class: "foot-right" }, p.age, p.stop)));
  }

  show(status, sample, mayAct) {
    const state = stateOf(status.state);
    showState(this.part.state, status);
    const moving = status.state === "running" ? " running-tile" : "";
    const bad = ["bad", "alarm"].includes(state.tone) ? " bad" : "";
    this.element.className = `tile${moving}${bad}`;
    say(this.part.protocol, status.protocol ?? "No protocol");
    say(this.part.cell, status.cell ? `Cell ${status.cell}` : `On ${status.instrument}`);
    showReason(this.part.reason, status);
    this.showSample(sample);
    say(this.part.where, whereText(status));
    const doing = status.doing ?? status.what ?? "";
    say(this.part.what, doing);
    this.part.what.title = doing;
    this.part.next.hidden = !status.queue?.length;
    say(this.part.next, nextWords(status.queue));
    showOutput(this.part.output, status.energised);
    this.part.stop.hidden = !(mayAct && canStop(status));
  }

  showSample(sample) {
    showValue(this.part.voltage, voltage(sample?.voltage_V));
    showValue(this.part.current, current(sample?.current_A));
    showValue(this.part.temperature, temperature(sample?.temperature_degC));
  }

  /** `kind`: live, old (of a run that is over) or stale (should be newer). */
  showAge(text, kind) {
    say(this.part.age, text);
    this.element.classList.toggle("stale", kind === "stale");
    this.element.classList.toggle("old", kind === "old");
  }

  draw(curves, sample) {
    const label = `Voltage against capacity of channel ${this.name}, ${curves?.curves.length ?? 0} curves`;
    this.move = sketch(this.part.plot, curves, curves?.tip(sample) ?? null, label);
  }

  /** Move the running point; everything is drawn anew only when it leaves the picture. */
  follow(curves, sample) {
    if (!this.move?.(curves?.tip(sample) ?? null)) this.draw(curves, sample);
  }
}

export function values(part) {
  return make("dl", { class: "values" },
    make("div", {}, make("dt", {}, "Voltage"), part.voltage),
    make("div", {}, make("dt", {}, "Current"), part.current),
    make("div", {}, make("dt", {}, "Temperature"), part.temperature));
}

export function showValue(place, value) {
  const text = value === null ? "\u2013" : value.join(" ");
  if (place.dataset.text === text) return;
  place.dataset.text = text;
  if (value === null) place.replaceChildren(make("span", { "aria-label": "not measured" }, "\u2013"));
  else place.replaceChildren(value[0], make("small", {}, value[1]));
}

export function showState(place, status) {
  const state = stateOf(status.state);
  if (place.dataset.state === status.state) return;
  place.dataset.state = status.state;
  place.className = `state ${state.tone}`;
  place.replaceChildren(icon(state.shape, 13), state.words);
}

export function showReason(place, status) {
  const wanted = status.reason && LATCHED.has(status.state);
  place.hidden = !wanted;
  if (!wanted) return;
  const tone = stateOf(status.state).tone;
  place.className = `reason ${tone === "calm" ? "wait" : tone}`;
  say(place, status.reason);
}

export function showOutput(place, energised) {
  const output = outputOf(energised);
  if (place.dataset.output === output.name) return;
  place.dataset.output = output.name;
  place.className = `output ${output.name}`;
  place.replaceChildren(icon(output.shape, 16), output.words);
}

/** What has no run the station keeps turning off by itself: a button that is always refused would only cost time. */
export function canStop(status) { return status.state === "running" || status.state === "paused"; }

function whereText(status) {
  const parts = [];
  if (status.cycle != null) parts.push(status.cycle === 0 ? "Before cycle 1" : `Cycle ${status.cycle}`);
  if (status.step != null) parts.push(`step ${status.step}`);
  if (!parts.length) return `Since ${clock(status.since_utc_s)}`;
  if (status.eta_utc_s != null && status.state === "running") parts.push(`done about ${clock(status.eta_utc_s)}`);
  else if (status.state !== "running") parts.push(`since ${clock(status.since_utc_s)}`);
  return parts.join(" \u00b7 ");
}
