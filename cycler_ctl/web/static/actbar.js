// What may be done to a channel now: a button each, and what has become of the one pressed last.

import { perform } from "./acting.js";
import { mayAct } from "./api.js";
import { tell } from "./channels.js";
import { make, say } from "./dom.js";
import { queueWords } from "./queuewords.js";
import { canStop } from "./tile.js";

const ACTS = [
  ["pause", "Pause", (status) => status.state === "running"],
  ["resume", "Resume", (status) => status.state === "paused" || status.state === "interrupted"],
  ["skip", "Skip step", (status) => status.state === "running"],
  ["acknowledge", "Acknowledge", (status) => ["tripped", "faulted", "interrupted"].includes(status.state)],
  ["stop", "Stop", canStop],
];

export class ActBar {
  /** `others`: buttons of the caller's own, beside these. */
  constructor(...others) {
    this.channel = null;
    this.said = make("span", { class: "said", role: "status" });
    this.buttons = new Map(ACTS.map(([word, label]) => [word, make("button", { class: `act act-${word}`, type: "button", hidden: true, onclick: () => this.press(word) }, label)]));
    this.queue = make("button", { class: "act to-queue", type: "button", hidden: true, "aria-haspopup": "dialog", onclick: () => tell("queue", this.channel) });
    const buttons = [...this.buttons.values()];
    const stop = buttons.pop();
    this.element = make("div", { class: "acts", hidden: true }, ...buttons, ...others, this.queue, this.said, stop);
  }

  /** `wanted` false: this channel is not, or no longer, what is looked at here. */
  show(channel, wanted = true) {
    this.channel = channel;
    this.element.hidden = !(mayAct() && wanted);
    if (this.element.hidden) return;
    for (const [word, , allowed] of ACTS) this.buttons.get(word).hidden = !allowed(channel.status);
    this.queue.hidden = channel.status.queue == null;
    say(this.queue, queueWords(channel.status.queue));
  }

  async press(word) {
    const { said, buttons, channel } = this;
    const button = buttons.get(word);
    button.disabled = true;
    said.className = "said";
    say(said, "");
    try {
      say(said, await perform(document.getElementById("confirm"), channel, word, (words) => say(said, words)));
    } catch (error) {
      said.className = "said bad";
      say(said, error.message);
    } finally {
      button.disabled = false;
    }
  }
}
