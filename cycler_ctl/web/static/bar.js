// What stands above the channels: find by text and state, tiles or lines, start.

import { make, say } from "./dom.js";
import { stateOf } from "./format.js";
import { needsAPerson } from "./states.js";

const STATES = ["running", "paused", "idle", "finished", "stopped", "aborted", "tripped", "faulted", "interrupted", "cannot_deenergise"];
const MANY = 12; // channels: then lines are shown first

export class Bar {
  constructor(place, { changed, start }) {
    this.changed = changed;
    this.chosen = null;
    this.text = make("input", { type: "search", placeholder: "Find a channel, cell or protocol", "aria-label": "Find a channel, cell or protocol", oninput: changed });
    this.state = make("select", { "aria-label": "State", onchange: changed },
      make("option", { value: "" }, "All states"), make("option", { value: "person" }, "Needs a person"),
      ...STATES.map((state) => make("option", { value: state }, stateOf(state).words)));
    this.tabs = ["tiles", "list"].map((view) => make("button", { type: "button", "aria-pressed": "false", "data-view": view, onclick: () => this.choose(view) }, view === "tiles" ? "Tiles" : "List"));
    this.start = make("button", { class: "act start", type: "button", hidden: true, "aria-haspopup": "dialog", onclick: () => start() }, "Start a run");
    this.found = make("p", { class: "found", role: "status" });
    place.replaceChildren(this.text, this.state, make("div", { class: "tabs", role: "group", "aria-label": "Layout" }, ...this.tabs), this.found, this.start);
  }

  choose(view) {
    this.chosen = view;
    this.changed();
  }

  view(channels) { return this.chosen ?? (channels > MANY ? "list" : "tiles"); }

  wants(channel) {
    const { status } = channel;
    const state = this.state.value;
    if (state === "person" ? !needsAPerson(channel) : state && status.state !== state) return false;
    const words = [channel.name, status.cell, status.protocol, status.instrument, status.reason, stateOf(status.state).words].join(" ").toLowerCase();
    return this.text.value.toLowerCase().split(/\s+/).every((word) => words.includes(word));
  }

  show(view, found, of, mayAct) {
    for (const tab of this.tabs) tab.setAttribute("aria-pressed", String(tab.dataset.view === view));
    say(this.found, found === of ? "" : `${found} of ${of} channels`);
    this.start.hidden = !(mayAct && of);
  }
}
