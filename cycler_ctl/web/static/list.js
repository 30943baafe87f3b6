// The overview as a dense table, for many channels: one line each, sorted as you like.

import { icon, make, say } from "./dom.js";
import { charge, current, duration, outputOf, voltage } from "./format.js";
import { lineWords } from "./queuewords.js";
import { canStop, showState } from "./tile.js";
import { urgency } from "./states.js";

const natural = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const LOUDNESS = { emergency: 3, alarm: 2, warning: 1 };

// key, words, what it is sorted by (null last), whether the largest comes first
const COLUMNS = [
  ["name", "Channel", ({ name }) => name],
  ["state", "State", ({ status }) => urgency(status.state), true],
  ["output", "Output", ({ status }) => [false, null, true].indexOf(status.energised)],
  ["alarms", "Alarm", (channel) => loudest(channel), true],
  ["cell", "Cell", ({ status }) => status.cell],
  ["protocol", "Protocol", ({ status }) => status.protocol],
  ["cycle", "Cycle", ({ status }) => status.cycle],
  ["step", "Step", ({ status }) => status.step],
  ["voltage", "Voltage", ({ sample }) => sample?.voltage_V],
  ["current", "Current", ({ sample }) => sample?.current_A],
  ["charge", "Capacity", ({ sample }) => chargeOf(sample)],
  ["left", "Time left", (channel) => left(channel)],
  ["queue", "Queue", ({ status }) => status.queue?.length || null, true],
];
const NUMBERS = new Set(["cycle", "voltage", "current", "charge", "left"]);

export class List {
  constructor(table, { open, stop, queue, mayAct }) {
    Object.assign(this, { table, open, stop, queue, mayAct, rows: new Map(), key: "name", down: false });
    this.heads = new Map(COLUMNS.map(([key, words]) => [key, this.head(key, words)]));
    this.body = make("tbody");
    table.replaceChildren(make("caption", { class: "unseen" }, "All channels, one a line"),
      make("thead", {}, make("tr", {}, ...this.heads.values(), make("td", {}))), this.body);
  }

  head(key, words) {
    return make("th", { scope: "col", "data-key": key, class: NUMBERS.has(key) ? "number" : "", "aria-sort": key === this.key ? "ascending" : "none" },
      make("button", { type: "button", class: "plain", onclick: () => this.sortBy(key) }, words));
  }

  sortBy(key) {
    const largestFirst = COLUMNS.find(([each]) => each === key)[3] === true;
    this.down = key === this.key ? !this.down : largestFirst;
    this.key = key;
    for (const [each, head] of this.heads) head.setAttribute("aria-sort", each !== key ? "none" : this.down ? "descending" : "ascending");
    this.arrange();
  }

  /** Lines keep still under who moves among them with the keyboard. */
  arrange() {
    if (this.body.contains(document.activeElement)) return;
    const value = COLUMNS.find(([each]) => each === this.key)[2];
    const order = [...this.rows.values()].sort((a, b) => compare(value(a.channel), value(b.channel), this.down) || natural.compare(a.channel.name, b.channel.name));
    const now = [...this.body.children];
    if (order.some(({ element }, place) => now[place] !== element)) this.body.append(...order.map(({ element }) => element));
  }

  /** `channel` of the overview: name, status, sample, alarms. */
  show(channel) {
    if (!this.rows.has(channel.name)) this.add(channel);
    const { cell, element, state, stop } = this.rows.get(channel.name);
    const { status } = channel;
    showState(state, status);
    say(cell.cell, status.cell ?? "");
    say(cell.protocol, status.protocol ?? "");
    cell.protocol.title = status.protocol ?? "";
    say(cell.cycle, status.cycle == null ? "" : String(status.cycle));
    say(cell.step, status.step == null ? "" : `${status.step} ${status.doing ?? status.what ?? ""}`);
    cell.step.title = cell.step.textContent;
    say(cell.alarms, channel.alarms.map(({ what }) => what).join("; ") || (urgency(status.state) >= 3 ? status.reason : ""));
    cell.alarms.title = cell.alarms.textContent;
    this.showQueue(channel, cell.queue);
    this.showOutput(cell.output, status.energised);
    stop.hidden = !(this.mayAct() && canStop(status));
    element.classList.toggle("bad", urgency(status.state) >= 4);
    this.showSample(channel);
  }

  showSample(channel) {
    const row = this.rows.get(channel.name);
    if (!row) return;
    const { cell } = row;
    say(cell.voltage, text(voltage(channel.sample?.voltage_V)));
    say(cell.current, text(current(channel.sample?.current_A)));
    say(cell.charge, text(charge(chargeOf(channel.sample))));
    say(cell.left, left(channel) === null ? "" : duration(left(channel)));
  }

  showQueue(channel, place) {
    const words = lineWords(channel.status.queue);
    if (place.textContent === words) return;
    place.replaceChildren(...(words ? [make("button", { class: "plain", type: "button", "aria-haspopup": "dialog", title: words, onclick: () => this.queue(channel) }, words)] : []));
  }

  showOutput(place, energised) {
    const output = outputOf(energised);
    if (place.dataset.output === output.name) return;
    place.dataset.output = output.name;
    place.replaceChildren(make("span", { class: `output ${output.name}` }, icon(output.shape, 16), output.words));
  }

  add(channel) {
    const cell = Object.fromEntries(COLUMNS.slice(1).map(([key, words]) => [key, make("td", { class: `of-${key}${NUMBERS.has(key) ? " number" : ""}`, "data-words": words })]));
    const state = make("span", { class: "state" });
    cell.state.append(state);
    const stop = make("button", { class: "act stop", type: "button", hidden: true, "aria-label": `Stop ${channel.name}`, onclick: () => this.stop(channel) }, "Stop");
    const name = make("button", { class: "plain name", type: "button", "aria-haspopup": "dialog", onclick: () => this.open(channel) }, channel.name);
    const element = make("tr", { "data-row": channel.name }, make("th", { scope: "row" }, name), ...Object.values(cell), make("td", { class: "of-stop" }, stop));
    this.rows.set(channel.name, { channel, cell, element, state, stop });
    this.body.append(element);
  }

  filter(wanted) {
    for (const { channel, element } of this.rows.values()) element.hidden = !wanted(channel);
  }
}

function compare(a, b, down) {
  if (a == null || b == null) return (a == null) - (b == null);
  const order = typeof a === "number" ? a - b : natural.compare(a, b);
  return down ? -order : order;
}

function text(value) { return value === null ? "" : value.join("\u00a0"); }

function loudest({ alarms }) { return alarms.reduce((most, { severity }) => Math.max(most, LOUDNESS[severity] ?? 1), 0); }

/** Of the cycle so far, in the direction of now. */
function chargeOf(sample) {
  if (!sample) return null;
  if (sample.direction > 0) return sample.cycle_oxidation_Ah;
  return sample.direction < 0 ? sample.cycle_reduction_Ah : Math.max(sample.cycle_oxidation_Ah, sample.cycle_reduction_Ah);
}

/** By the station's own clock, which a simulation may run faster. */
function left({ status, sample }) {
  if (status.state !== "running" || status.eta_utc_s == null || !sample) return null;
  return Math.max(0, status.eta_utc_s - sample.utc_s);
}
