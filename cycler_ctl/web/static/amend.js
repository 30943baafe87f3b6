// Other text for what a run has not begun yet: looked at first, and what was looked at is what is done.

import { get, of, post } from "./api.js";
import { actor, nameField } from "./ask.js";
import { icon, make, say } from "./dom.js";
import { planTable, problemLines, showLine } from "./planned.js";

const CROSS = "M5 5L15 15M15 5L5 15";
const PAUSE_MS = 400; // after the last letter typed
const LARGEST = 900 * 1024; // as for a start
const MOST_STEPS = 1000; // of the plan, as for a start
const CHANGE_IT = "Change the text. What it would change is said here before anything is done.";

export class Amend {
  constructor(dialog) {
    Object.assign(this, { dialog, amended: null, asked: 0, looked: null, timer: null });
    dialog.addEventListener("close", () => { if (!dialog.open) this.leave(); }); // told late: it may be open again
  }

  /** `channel` of the overview, with this run under way; `amended(words)` when it is done. */
  async open(channel, run, amended) {
    const about = await get(`/api/v1/runs/${run}`);
    if (this.dialog.open) return; // pressed twice: what was typed meanwhile stays
    Object.assign(this, { channel, run, amended, begun: givenOf(about), looked: null });
    this.build(about);
    this.dialog.showModal();
    this.part.text.setSelectionRange(0, 0);
    const line = about.lines[about.at?.step_id];
    if (line) showLine(this.part.text, line);
    this.forget(CHANGE_IT);
  }

  leave() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.dialog.replaceChildren();
  }

  build(about) {
    const { begun, channel: { name } } = this;
    const area = (text, rows, more = {}) => {
      const made = make("textarea", { spellcheck: "false", rows, wrap: "off", oninput: () => this.changed(), ...more });
      made.value = text;
      return made;
    };
    const p = this.part = {
      text: area(about.protocol_text, 20, { name: "protocol", autofocus: true }),
      beside: new Map(Object.entries(begun.include).map(([file, text]) => [file, area(text, 8)])),
      settings: new Map(about.settings.variables.map(([variable, value]) => [variable, make("input", { maxlength: 200, placeholder: begun.set[variable] ? "" : value, value: begun.set[variable] ?? "", oninput: () => this.changed() })])),
      said: make("p", { class: "verdict", role: "status" }), problems: make("div"), refused: make("div"), changes: make("div"), plan: make("div"),
      sentence: make("p", { class: "sentence" }), failed: make("p", { class: "said bad", role: "alert" }), who: nameField(),
      go: make("button", { class: "act sure calm", type: "submit", disabled: true }, `Amend ${name}`),
    };
    const form = make("form", { method: "dialog", class: "start-body", onsubmit: (event) => { event.preventDefault(); this.go(); } },
      make("div", { class: "detail-head" }, make("div", {}, make("h2", { id: "amend-title" }, `Amend the run on ${name}`), make("p", {}, `${about.protocol_name}, cell ${about.cell.name}`)),
        make("button", { class: "close", type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon(CROSS, 20))),
      make("div", { class: "start-main" },
        make("div", { class: "given" },
          make("p", { class: "hint" }, "What has been executed, the step in progress, the cell and the safety section stay as they are."),
          make("label", {}, "Protocol", p.text),
          ...[...p.beside].map(([file, made]) => make("details", {}, make("summary", {}, `With it: ${file}`), make("label", {}, file, made))),
          this.settingsPart()),
        make("div", { class: "foreseen", tabindex: "0", role: "region", "aria-label": "What would change" }, p.said, p.problems, p.refused, p.changes, p.plan)),
      make("div", { class: "start-foot" }, p.sentence, p.failed, p.who.element,
        make("div", { class: "acts" }, make("button", { class: "act", type: "button", onclick: () => this.dialog.close() }, "Leave it as it is"), p.go)));
    this.dialog.replaceChildren(form);
  }

  settingsPart() {
    const { settings } = this.part;
    if (!settings.size) return null;
    return make("div", { class: "settings" }, make("h3", {}, "Settings of this run"), make("p", { class: "hint" }, "Empty: as the text says."),
      make("div", { class: "grid" }, ...[...settings].map(([name, input]) => make("label", {}, name, input))));
  }

  /** What was looked at is no longer what would be done. */
  changed() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.forget("Checking\u2026");
    this.timer = setTimeout(() => this.look(), PAUSE_MS);
  }

  forget(words) {
    const { said, problems, refused, changes, plan, sentence, failed, go } = this.part;
    this.looked = null;
    go.disabled = true;
    for (const place of [problems, refused, changes, plan]) place.replaceChildren();
    for (const place of [sentence, failed]) say(place, "");
    said.className = "verdict";
    say(said, words);
  }

  /** `set` null: as the run was begun. */
  body() {
    const { text, beside, settings } = this.part;
    const set = Object.fromEntries([...settings].map(([name, input]) => [name, input.value.trim()]).filter(([, value]) => value));
    const same = JSON.stringify(Object.entries(set).sort()) === JSON.stringify(Object.entries(this.begun.set).sort());
    return { run: this.run, protocol: text.value, file_name: this.begun.file_name, include: Object.fromEntries([...beside].map(([name, made]) => [name, made.value])), set: same ? null : set };
  }

  /** Checked first, in a process of its own and with errors at their lines; then compared with what runs. */
  async look() {
    const asked = this.asked;
    const body = this.body();
    if (JSON.stringify(body).length > LARGEST) { this.forget("These files are longer than a protocol may be."); return; }
    try {
      const { run, ...texts } = body;
      const checked = await post("/api/v1/check", { ...texts, set: body.set ?? this.begun.set, ...this.begun.cell });
      if (asked !== this.asked) return;
      const errors = checked.problems.filter(({ severity }) => severity === "error").length;
      const found = errors ? null : await post(of(this.channel.name, "amend"), body);
      if (asked === this.asked) this.show(checked.problems, errors, found, body);
    } catch (error) {
      if (asked === this.asked) this.refuse(error);
    }
  }

  refuse(error) {
    this.forget("");
    this.part.said.className = "verdict bad";
    say(this.part.said, error instanceof TypeError ? "The station does not answer." : error.message);
  }

  show(problems, errors, found, body) {
    const { part } = this;
    part.said.className = `verdict ${errors ? "bad" : "good"}`;
    say(part.said, errors ? `${count(errors, "error")}: nothing is changed.` : `No errors, ${count(found.changes.length, "change")}. Read them, then amend.`);
    part.problems.replaceChildren(...problemLines(problems, (line) => showLine(part.text, line), body.file_name));
    if (!found) return;
    const { plan } = found;
    part.changes.replaceChildren(make("h3", {}, "What changes"), make("ul", { class: "refused changes" }, ...found.changes.map((words) => make("li", {}, words))));
    part.plan.replaceChildren(...planTable({ ...plan, steps: plan.steps.slice(0, MOST_STEPS) }, Math.max(0, plan.steps.length - MOST_STEPS)));
    say(part.sentence, `From the end of the step in progress${this.channel.status.step ? ` (${this.channel.status.step})` : ""} the run on ${this.channel.name} goes on with this text. Nothing is switched now.`);
    this.looked = { ...body, of: found.of };
    part.go.disabled = false;
  }

  async go() {
    if (!this.looked) return;
    const { go, failed, who } = this.part;
    const { channel, looked } = this;
    who.read();
    go.disabled = true;
    say(failed, "");
    try {
      const { changes } = await post(of(channel.name, "amend"), { ...looked, by: actor() });
      this.dialog.close();
      this.amended(`${channel.name}: amended, ${count(changes.length, "change")}; the run's record holds both texts`);
    } catch (error) {
      if (!this.dialog.open) return;
      this.changed(); // it is looked at again: the run may have gone on meanwhile
      say(failed, error instanceof TypeError ? "The station does not answer: whether it was amended its events tell." : error.message);
    }
  }
}

/** What a run was asked for with, from its record: the last of its texts is the cell's, where it had one of its own; another may have its name. */
function givenOf({ settings: { documents, order } }) {
  const beside = [...documents];
  const cell = order.cell === null ? {} : { cell: beside.pop()?.text ?? "", cell_name: order.cell };
  return { file_name: order.file, include: Object.fromEntries(beside.map(({ name, text }) => [name, text])), set: order.overrides, cell };
}

function count(number, word) { return `${number} ${word}${number === 1 ? "" : "s"}`; }
