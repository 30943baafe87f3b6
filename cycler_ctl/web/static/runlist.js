// All runs: search, sort, choose some to compare.

import { get } from "./api.js";
import { icon, make, say } from "./dom.js";
import { stateOf } from "./format.js";
import { day } from "./runparts.js";

const REFRESH_MS = 30000;
const A_PAGE = 100;
const MOST_COMPARED = 6;
const COLUMNS = [
  ["started_utc_s", "Began", (run) => (run.started_utc_s == null ? "\u2013" : day(run.started_utc_s))],
  ["cell", "Cell", (run) => run.cell ?? "\u2013"], ["protocol", "Protocol", (run) => run.protocol ?? "\u2013"],
  ["channel", "Channel", (run) => run.channel ?? "\u2013"], ["state", "State", null], ["rows", "Rows", (run) => run.rows.toLocaleString("fr")],
];

export class RunList {
  constructor(place) {
    const chosen = location.hash.match(/^#\/runs\/with\/([a-z0-9,-]+)$/)?.[1].split(",") ?? [];
    Object.assign(this, { place, runs: null, key: "started_utc_s", up: false, most: A_PAGE, chosen: new Set(chosen), at: -Infinity, gone: false });
  }

  enter() {
    document.title = "Runs \u00b7 cycler-ctl";
    this.part = {
      search: make("input", { type: "search", id: "run-search", placeholder: "cell, protocol, channel, day, how it ended", oninput: () => { this.most = A_PAGE; this.show(); } }),
      count: make("p", { class: "said", role: "status" }, "Loading the runs\u2026"), body: make("tbody"),
      compare: make("button", { class: "act", type: "button", hidden: true, onclick: () => { location.hash = `#/run/${[...this.chosen].join(",")}`; } }),
      more: make("button", { class: "act", type: "button", hidden: true, onclick: () => { this.most += A_PAGE; this.show(); } }, "Show more"),
    };
    this.part.heads = COLUMNS.map(([key, words]) => make("th", { scope: "col", "data-key": key }, make("button", { type: "button", onclick: () => this.sort(key) }, words)));
    this.place.replaceChildren(make("div", { class: "run-head" }, make("h2", { tabindex: "-1" }, "Runs"), this.part.compare),
      make("div", { class: "run-search" }, make("label", { for: "run-search" }, "Search"), this.part.search, this.part.count),
      make("div", { class: "card" }, make("table", { class: "runs" }, make("thead", {}, make("tr", {}, make("th", { scope: "col" }, make("span", { class: "unseen" }, "Compare")), ...this.part.heads)), this.part.body)), this.part.more);
    this.load();
  }

  leave() { this.gone = true; }

  async load() {
    this.at = performance.now();
    try {
      const runs = await get("/api/v1/runs");
      if (this.gone) return;
      this.runs = runs.map((run) => ({ ...run, state: run.outcome ?? run.state ?? "unreadable" }));
      this.show();
    } catch (error) {
      if (this.gone) return;
      const words = error instanceof TypeError ? "The station does not answer" : error.message;
      say(this.part.count, this.runs ? `${words}: this list is old.` : `The runs cannot be listed: ${words}. It is tried again.`);
      this.part.count.classList.add("bad");
    }
  }

  everySecond() { if (performance.now() - this.at > (this.runs ? REFRESH_MS : 5000)) this.load(); }

  sort(key) {
    this.up = key === this.key ? !this.up : key !== "started_utc_s" && key !== "rows";
    this.key = key;
    this.show();
  }

  found() {
    const wanted = this.part.search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const text = (run) => [run.run, run.cell, run.protocol, run.channel, run.state, run.reason, run.trouble].join(" ").toLowerCase();
    const sign = this.up ? 1 : -1;
    return this.runs.filter((run) => wanted.every((word) => text(run).includes(word))).sort((a, b) => sign * compared(a[this.key], b[this.key]));
  }

  show() {
    if (!this.runs) return;
    const found = this.found();
    this.part.count.classList.remove("bad");
    say(this.part.count, this.runs.length === 0 ? "No runs yet. The first begins when a protocol is started on a channel." : `${found.length} of ${this.runs.length} runs`);
    for (const head of this.part.heads) head.setAttribute("aria-sort", head.dataset.key !== this.key ? "none" : this.up ? "ascending" : "descending");
    const focused = document.activeElement?.dataset?.run;
    this.part.body.replaceChildren(...found.slice(0, this.most).map((run) => this.line(run)));
    if (focused) this.part.body.querySelector(`input[data-run="${CSS.escape(focused)}"]`)?.focus();
    this.part.more.hidden = found.length <= this.most;
    this.showCompare();
  }

  line(run) {
    const box = make("input", { type: "checkbox", "data-run": run.run, "aria-label": `Compare ${run.run}`, onchange: () => this.choose(run.run, box) });
    box.checked = this.chosen.has(run.run);
    const cells = COLUMNS.map(([key, , text]) => make("td", { class: `of-${key}` }, key === "state" ? stateOfRun(run) : key === "started_utc_s" ? make("a", { href: `#/run/${run.run}`, title: run.run }, text(run)) : text(run)));
    return make("tr", {}, make("td", { class: "box" }, box), ...cells);
  }

  choose(run, box) {
    if (box.checked && this.chosen.size >= MOST_COMPARED) box.checked = false;
    if (box.checked) this.chosen.add(run);
    else this.chosen.delete(run);
    this.showCompare();
  }

  showCompare() {
    this.part.compare.hidden = this.chosen.size < 1;
    this.part.compare.disabled = this.chosen.size < 2;
    say(this.part.compare, this.chosen.size < 2 ? "Choose another to compare" : `Compare ${this.chosen.size} runs${this.chosen.size === MOST_COMPARED ? ", the most" : ""}`);
  }
}

function compared(a, b) {
  if (a == null || b == null) return (a == null ? 0 : 1) - (b == null ? 0 : 1);
  return typeof a === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true });
}

function stateOfRun(run) {
  if (run.trouble) return make("span", { class: "said bad", title: run.trouble }, `cannot be read: ${run.trouble}`);
  const state = stateOf(run.state);
  return make("span", { class: `state ${state.tone}`, title: run.reason ?? "" }, icon(state.shape, 13), state.words);
}
