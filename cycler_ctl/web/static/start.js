// Start a run: choose a channel and a protocol, see what check and plan say of it, then start exactly that.

import { get, of, post } from "./api.js";
import { actor, nameField } from "./ask.js";
import { icon, make, say } from "./dom.js";
import { stateOf } from "./format.js";
import { planTable, problemLines, showLine } from "./planned.js";

const CROSS = "M5 5L15 15M15 5L5 15";
const PAUSE_MS = 400; // after the last letter typed
const LARGEST = 900 * 1024; // what the station takes in all, with room for the rest of the request

export class Start {
  constructor(dialog, { channels, started, queued }) {
    Object.assign(this, { dialog, channels, started, queued, files: {}, shipped: [], asked: 0, planned: null, timer: null });
    dialog.addEventListener("close", () => { if (!dialog.open) this.leave(); }); // told late: it may be open again
  }

  async open(name) {
    Object.assign(this, { files: {}, planned: null, settings: new Map() });
    this.build(name);
    this.dialog.showModal();
    this.shipped = await get("/api/v1/library").catch(() => []);
    if (!this.dialog.open) return;
    this.part.shipped.append(...this.shipped.filter(({ text }) => isProtocol(text)).map(({ name: file, text }) => make("option", { value: file }, `${titleOf(text)} (${file})`)));
  }

  leave() {
    clearTimeout(this.timer);
    this.asked += 1;
    this.dialog.replaceChildren();
  }

  build(name) {
    const p = this.part = {
      channel: make("select", { name: "channel", onchange: () => this.changed() }, make("option", { value: "" }, "Choose a channel"),
        ...[...this.channels()].map((each) => make("option", { value: each.name }, `${each.name}: ${stateOf(each.status.state).words.toLowerCase()}${each.status.cell ? `, ${each.status.cell}` : ""}`))),
      file: make("input", { type: "file", multiple: true, accept: ".yaml,.yml,.txt", onchange: (event) => this.take(event.target.files) }),
      shipped: make("select", { onchange: (event) => this.takeShipped(event.target.value) }, make("option", { value: "" }, "Choose one that ships with the program")),
      text: make("textarea", { name: "protocol", spellcheck: "false", rows: 16, wrap: "off", oninput: () => this.typed() }),
      name: make("input", { name: "file_name", maxlength: 200, value: "protocol.yaml", oninput: () => this.changed() }),
      cellFile: make("input", { type: "file", accept: ".yaml,.yml,.txt", onchange: (event) => this.takeCell(event.target.files[0]) }),
      cell: make("textarea", { name: "cell", spellcheck: "false", rows: 5, wrap: "off", oninput: () => this.changed() }),
      beside: make("ul", { class: "beside" }), settings: make("div", { class: "settings" }),
      said: make("p", { class: "verdict", role: "status" }), problems: make("div"), refused: make("div"), plan: make("div"),
      sentence: make("p", { class: "sentence" }), failed: make("p", { class: "said bad", role: "alert" }),
      wait: make("button", { class: "act to-wait", type: "button", disabled: true, onclick: () => this.enqueue() }, "Queue"),
      go: make("button", { class: "act sure", type: "submit", disabled: true }, "Start"),
    };
    p.who = nameField();
    if (name) p.channel.value = name;
    const form = make("form", { method: "dialog", class: "start-body", onsubmit: (event) => { event.preventDefault(); this.go(); } },
      make("div", { class: "detail-head" }, make("h2", { id: "start-title" }, "Start a run"),
        make("button", { class: "close", type: "button", "aria-label": "Close", onclick: () => this.dialog.close() }, icon(CROSS, 20))),
      make("div", { class: "start-main" },
        make("div", { class: "given" },
          labelled("Channel", p.channel), labelled("Protocol file, and with it the files that it includes", p.file), labelled("Or a protocol of the library", p.shipped),
          labelled("Protocol", p.text), labelled("Name of the file, for the record", p.name), p.beside,
          make("details", {}, make("summary", {}, "Another cell than the protocol's"), labelled("Cell file", p.cellFile), labelled("Cell", p.cell)),
          p.settings),
        make("div", { class: "foreseen", tabindex: "0", role: "region", "aria-label": "What check and plan say" }, p.said, p.problems, p.refused, p.plan)),
      make("div", { class: "start-foot" }, p.sentence, p.failed, p.who.element,
        make("div", { class: "acts" }, make("button", { class: "act", type: "button", onclick: () => this.dialog.close() }, "Not now"), p.wait, p.go)));
    this.dialog.replaceChildren(form);
    this.forget("Choose a channel and a protocol.");
  }

  async take(files) {
    const read = await Promise.all([...files].map(async (file) => ({ name: file.name, text: await textOf(file) })));
    const found = read.find(({ text }) => isProtocol(text)) ?? read[0];
    for (const { name, text } of read) if (name !== found?.name) this.files[name] = text;
    if (found) this.takeProtocol(found.name, found.text);
  }

  takeShipped(name) {
    const found = this.shipped.find((each) => each.name === name);
    if (!found) return;
    for (const { name: file, text } of this.shipped) if (found.text.includes(file) && file !== name) this.files[file] = text;
    this.takeProtocol(name, found.text);
  }

  takeProtocol(name, text) {
    this.part.name.value = name;
    this.part.text.value = text;
    this.typed();
  }

  async takeCell(file) {
    if (!file) return;
    this.part.cell.value = await textOf(file);
    this.part.cell.dataset.name = file.name;
    this.changed();
  }

  /** Another text has other settings. */
  typed() {
    this.settings = new Map();
    this.part.settings.replaceChildren();
    this.changed();
  }

  /** Whatever was planned is no longer what would start. */
  changed() {
    this.showBeside();
    clearTimeout(this.timer);
    this.asked += 1;
    if (!this.part.text.value.trim()) { this.forget("Choose a channel and a protocol."); return; }
    this.forget("Checking\u2026");
    this.timer = setTimeout(() => this.plan(), PAUSE_MS);
  }

  forget(words) {
    const { said, problems, refused, plan, sentence, failed, go, wait } = this.part;
    Object.assign(this, { planned: null, foreseen: null });
    go.disabled = wait.disabled = true;
    say(go, "Start");
    say(wait, "Queue");
    for (const place of [problems, refused, plan]) place.replaceChildren();
    for (const place of [sentence, failed]) say(place, "");
    said.className = "verdict";
    say(said, words);
  }

  showBeside() {
    this.part.beside.replaceChildren(...Object.keys(this.files).map((name) => make("li", {}, `With it: ${name}`,
      make("button", { class: "plain", type: "button", "aria-label": `Leave ${name} out`, onclick: () => { delete this.files[name]; this.changed(); } }, "Leave out"))));
  }

  body() {
    const { text, name, cell } = this.part;
    const set = Object.fromEntries([...this.settings].map(([key, input]) => [key, input.value.trim()]).filter(([, value]) => value));
    const body = { protocol: text.value, file_name: name.value || "protocol.yaml", include: { ...this.files }, set };
    return cell.value.trim() ? { ...body, cell: cell.value, cell_name: cell.dataset.name ?? "cell.yaml" } : body;
  }

  async plan() {
    const asked = this.asked;
    const channel = this.part.channel.value;
    const body = this.body();
    if (JSON.stringify(body).length > LARGEST) { this.forget("These files are longer than a protocol may be."); return; }
    try {
      const found = await post(channel ? of(channel, "plan") : "/api/v1/check", body);
      if (asked === this.asked) this.show(found, channel, body);
    } catch (error) {
      if (asked !== this.asked) return;
      this.forget("");
      this.part.said.className = "verdict bad";
      say(this.part.said, `This could not be checked: ${error.message}`);
    }
  }

  show(found, channel, body) {
    const { said, problems, refused, plan, sentence, go, wait } = this.part;
    const errors = found.problems.filter(({ severity }) => severity === "error").length;
    const warnings = found.problems.length - errors + (found.plan?.warnings.length ?? 0);
    said.className = `verdict ${errors || (found.refused.length && !found.queueable) ? "bad" : "good"}`;
    say(said, verdict(found, errors, warnings, channel));
    this.showSettings(found.variables);
    problems.replaceChildren(...problemLines(found.problems, (line) => showLine(this.part.text, line), body.file_name));
    refused.replaceChildren(...(found.refused.length ? [make("h3", {}, "A start would be refused now"), make("ul", { class: "refused" }, ...found.refused.map((why) => make("li", {}, why)))] : []));
    plan.replaceChildren(...(found.plan ? planTable(found.plan, found.more_steps) : []));
    say(sentence, found.ok && channel ? found.sentence : found.queueable ? `When its turn comes: ${found.sentence}` : "");
    this.planned = found.ok && channel ? { channel, body } : null;
    this.foreseen = found.queueable ? { channel, body } : null;
    this.offer();
  }

  /** Exactly what was planned: a text that changed since has no plan, and no button. */
  offer() {
    const { go, wait } = this.part;
    go.disabled = !this.planned;
    say(go, this.planned ? `Start ${this.planned.channel}` : "Start");
    wait.disabled = !this.foreseen;
    say(wait, this.foreseen ? `Queue for ${this.foreseen.channel}` : "Queue");
  }

  showSettings(variables) {
    if (this.settings.size || !variables.length) return;
    this.settings = new Map(variables.map(({ name, default: standard }) => [name, make("input", { placeholder: standard, maxlength: 200, "aria-label": `${name}, ${standard} in the file`, oninput: () => this.changed() })]));
    this.part.settings.replaceChildren(make("h3", {}, "Settings for this run"), make("p", { class: "hint" }, "Empty: as the file says."),
      make("div", { class: "grid" }, ...[...this.settings].map(([name, input]) => make("label", {}, name, input))));
  }

  async go() {
    if (!this.planned) return;
    const { channel, body } = this.planned;
    say(this.part.go, "Starting\u2026");
    const answer = await this.send(of(channel, "start"), body, `${channel} was not started`);
    if (answer) this.started(channel, answer.run);
  }

  /** Nothing begins by this. */
  async enqueue() {
    if (!this.foreseen) return;
    const { channel, body } = this.foreseen;
    say(this.part.wait, "Queueing\u2026");
    const answer = await this.send(of(channel, "queue"), body, "It was not queued");
    if (answer) this.queued(channel);
  }

  /** The answer, and the dialog is closed; null where it was refused, and the words say why. */
  async send(address, body, failure) {
    const { go, wait, failed, who } = this.part;
    who.read();
    go.disabled = wait.disabled = true;
    say(failed, "");
    try {
      const answer = await post(address, { ...body, by: actor() });
      this.dialog.close();
      return answer;
    } catch (error) {
      if (!this.dialog.open) return null;
      say(failed, error instanceof TypeError ? "The station does not answer: look at the channel before you try again." : `${failure}: ${error.message}`);
      this.offer();
      return null;
    }
  }
}

function verdict(found, errors, warnings, channel) {
  const parts = [errors ? count(errors, "error") : "No errors", warnings ? count(warnings, "warning") : null];
  const words = parts.filter(Boolean).join(", ");
  if (errors) return `${words}.`;
  if (found.refused.length) return found.queueable ? `${words}. It cannot start now, and may wait in the queue of ${channel}.` : `${words}, but it cannot start.`;
  return channel ? `${words}. Read the plan, then start${found.queueable ? ", or let it wait in the queue" : ""}.` : `${words}. Choose a channel to plan for it.`;
}

function count(number, word) { return `${number} ${word}${number === 1 ? "" : "s"}`; }

function labelled(words, input) { return make("label", {}, words, input); }

function isProtocol(text) { return /^\s*protocol\s*:/m.test(text); }

function titleOf(text) { return /^name:\s*(.+)$/m.exec(text)?.[1].replace(/^["']|["']$/g, "") ?? ""; }

/** As UTF-8 or not at all: a file misread would be another protocol. */
async function textOf(file) { return new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer()); }
