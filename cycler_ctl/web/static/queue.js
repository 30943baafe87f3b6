// What waits on a channel: the entries in order, why the first one does not begin, and what a person may do about it.

import { get, mayAct, of, post, send } from "./api.js";
import { actor, ask } from "./ask.js";
import { hear } from "./channels.js";
import { icon, make, say } from "./dom.js";
import { clock, duration } from "./format.js";
import { beginsNow, mayBeReady, readyQuestion, whyWords } from "./queuewords.js";
import { showState } from "./tile.js";

const CROSS = "M5 5L15 15M15 5L5 15";
const REFRESH_MS = 5000;

export class Queue {
  constructor(dialog, { add }) {
    Object.assign(this, { dialog, add, channel: null, queue: null, shown: "", heard: "", at: -Infinity });
    dialog.addEventListener("close", () => { if (!dialog.open) this.leave(); }); // told late: it may be open again
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    hear("changed", (channel) => { if (channel === this.channel) this.changed(); });
  }

  open(channel) {
    Object.assign(this, { channel, queue: null, shown: "", heard: "" });
    this.build();
    this.changed();
    if (!this.dialog.open) this.dialog.showModal();
  }

  leave() {
    this.channel = null;
    this.dialog.replaceChildren();
  }

  build() {
    const button = (words, onclick, more = "") => make("button", { class: `act ${more}`, type: "button", hidden: true, onclick }, words);
    const p = this.part = {
      state: make("span", { class: "state" }), doing: make("p"), why: make("p", { class: "queue-why", role: "status" }),
      list: make("ol", { class: "queue-list", "aria-label": "What waits, the next one first" }), said: make("p", { class: "said", role: "status" }),
      add: button("Add a run\u2026", () => this.add(this.channel), "queue-add"),
      hold: button("Hold\u2026", () => this.hold(), "queue-hold"), release: button("Release\u2026", () => this.release(), "queue-release"),
    };
    this.dialog.replaceChildren(make("div", { class: "queue-body" },
      make("div", { class: "detail-head" }, make("div", {}, make("h2", { id: "queue-title" }, `Queue of ${this.channel.name}`, p.state), p.doing),
        make("button", { class: "close", type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon(CROSS, 20))),
      p.why, p.list, p.said, make("div", { class: "acts" }, p.add, p.hold, p.release)));
  }

  /** The station told of the channel: what is new of its queue is asked for. */
  changed() {
    const { status } = this.channel;
    showState(this.part.state, status);
    say(this.part.doing, status.run && ["running", "paused"].includes(status.state) ? `${status.protocol}, cell ${status.cell}` : `Nothing runs on it`);
    const heard = JSON.stringify([status.queue, status.state, status.run, mayAct()]);
    if (heard !== this.heard) this.load();
    this.heard = heard;
  }

  everySecond() {
    if (this.channel && performance.now() - this.at > REFRESH_MS) this.load();
  }

  async load() {
    const { channel } = this;
    this.at = performance.now();
    try {
      const found = await get(of(channel.name, "queue"));
      if (channel === this.channel) this.show(found);
    } catch (error) {
      if (channel === this.channel) this.told(error instanceof TypeError ? "The station does not answer: what is shown is old." : error.message, true);
    }
  }

  told(words, bad = false) {
    this.part.said.classList.toggle("bad", bad);
    say(this.part.said, words);
  }

  show(queue) {
    const { status } = this.channel;
    if (this.part.said.textContent.includes("does not answer")) this.told("");
    const text = JSON.stringify([queue, status.state, status.cell, mayAct()]);
    if (text === this.shown) return;
    Object.assign(this, { queue, shown: text });
    say(this.part.why, whyWords(queue, status));
    this.part.why.classList.toggle("wait", queue.held !== null);
    const focused = document.activeElement?.dataset?.act;
    this.part.list.replaceChildren(...queue.entries.map((entry, place) => this.line(entry, place)));
    if (focused) (this.part.list.querySelector(`[data-act="${CSS.escape(focused)}"]:not([disabled])`) ?? this.part.add).focus();
    this.part.add.hidden = !mayAct();
    this.part.hold.hidden = !mayAct() || queue.held !== null;
    this.part.release.hidden = !mayAct() || queue.held === null;
  }

  line(entry, place) {
    const title = `${entry.protocol} on ${entry.cell}`;
    const most = entry.at_most_s === null ? "no longest time" : `at most ${duration(entry.at_most_s)}`;
    const ready = this.queue.ready === entry.id;
    const facts = [most, `queued ${clock(entry.added_utc_s)} by ${entry.by || "a person"}`, entry.file_name, entry.id].join(" \u00b7 ");
    return make("li", { class: `queue-entry${ready ? " ready" : ""}`, "data-entry": entry.id },
      make("div", { class: "queue-what" }, make("p", { class: "protocol" }, entry.protocol), make("p", {}, `Cell ${entry.cell}`, ready ? make("b", { class: "queue-ready" }, "Ready") : null), make("p", { class: "queue-facts" }, facts)),
      mayAct() ? make("div", { class: "acts" }, ...this.actsOf(entry, place, title)) : null);
  }

  actsOf(entry, place, title) {
    const path = (what) => of(this.channel.name, `queue/${entry.id}${what}`);
    const button = (word, label, onclick, more = {}) => make("button", { class: "act", type: "button", "data-act": `${word} ${entry.id}`, "aria-label": `${label}: ${title}`, onclick, ...more }, label);
    const move = (to) => () => this.does(() => post(path("/move"), { to, by: actor() }));
    const marked = this.queue.ready === entry.id;
    return [
      marked ? button("unready", "Not ready", () => this.does(() => post(path("/unready"), { by: actor() }))) : null,
      !marked && place === 0 && mayBeReady(this.queue, this.channel.status) ? button("ready", "Mark ready\u2026", () => this.ready(entry), { class: "act queue-mark" }) : null,
      button("up", "Earlier", move(place), { disabled: place === 0 }),
      button("down", "Later", move(place + 2), { disabled: place === this.queue.entries.length - 1 }),
      button("remove", "Remove\u2026", () => this.remove(entry, title, path(""))),
    ].filter(Boolean);
  }

  /** What is marked is the very entry that was shown and asked about. */
  async ready(entry) {
    const { name, status } = this.channel;
    const now = beginsNow(status);
    if (!await ask(confirmation(), readyQuestion(name, status, entry))) return;
    await this.does(() => post(of(name, `queue/${entry.id}/ready`), { by: actor() }), `${entry.protocol} on ${entry.cell} is marked ready${now ? " and is to begin now" : ""}.`);
  }

  async remove(entry, title, path) {
    const question = { title: "Take it out of the queue?", text: `${title} will not be begun. Nothing that runs changes.`, yes: "Remove", no: "Keep it", tone: "sure calm" };
    if (await ask(confirmation(), question)) await this.does(() => send("DELETE", path, { by: actor() }));
  }

  async hold() {
    const why = make("input", { name: "why", maxlength: 200 });
    const { name } = this.channel;
    const question = { title: `Hold the queue of ${name}?`, text: "Nothing of it begins until a person releases it, and a mark is taken back. What runs goes on.", yes: "Hold", no: "Not now", tone: "sure calm",
      field: make("label", { class: "who-acts" }, "Why, for whoever comes next", why) };
    if (await ask(confirmation(), question)) await this.does(() => post(of(name, "queue/hold"), { why: why.value.trim(), by: actor() }));
  }

  async release() {
    const { name } = this.channel;
    const question = { title: `Release the queue of ${name}?`, text: `It holds: ${this.queue.held}\nNothing begins by this. The next one begins when its cell is marked ready.`, yes: "Release", no: "Not now", tone: "sure calm" };
    if (await ask(confirmation(), question)) await this.does(() => post(of(name, "queue/release"), { by: actor() }));
  }

  /** Each answer is the queue as it is now. */
  async does(act, words = "") {
    this.told("");
    const { channel } = this;
    try {
      const found = await act();
      if (channel !== this.channel) return;
      this.show(found);
      this.told(words);
    } catch (error) {
      if (channel !== this.channel) return;
      await this.load();
      this.told(error instanceof TypeError ? "The station does not answer: whether it was done nobody can say here." : error.message, true);
    }
  }
}

function confirmation() { return document.getElementById("confirm"); }
