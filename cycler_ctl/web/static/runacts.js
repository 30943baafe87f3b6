// On a run's own page: what may be done to its channel, for as long as it is the channel's run.

import { ActBar } from "./actbar.js";
import { Amend } from "./amend.js";
import { channels, hear } from "./channels.js";
import { make, say } from "./dom.js";

const dialog = new Amend(document.getElementById("amend"));
const UNDER_WAY = ["running", "paused"];

export class RunActs {
  /** `acted`: the run's record tells something new. */
  constructor(run, acted) {
    Object.assign(this, { run, acted });
    this.amend = make("button", { class: "act to-amend", type: "button", "aria-haspopup": "dialog", onclick: () => this.open() }, "Amend\u2026");
    this.bar = new ActBar(this.amend);
    this.bar.element.classList.add("run-acts");
    this.element = this.bar.element;
    this.deaf = hear("changed", (channel) => { if (channel.name === run.about.channel) { this.show(); acted(); } });
    this.show();
  }

  leave() {
    this.deaf();
    document.body.classList.remove("acts-below");
  }

  show() {
    const channel = channels.get(this.run.about.channel);
    if (!channel?.status) { this.element.hidden = true; return; }
    this.bar.show(channel, channel.status.run === this.run.id);
    this.amend.hidden = !UNDER_WAY.includes(channel.status.state);
    document.body.classList.toggle("acts-below", !this.element.hidden);
  }

  async open() {
    this.bar.said.className = "said";
    say(this.bar.said, "");
    try {
      await dialog.open(channels.get(this.run.about.channel), this.run.id, (words) => { say(this.bar.said, words); this.acted(); });
    } catch (error) {
      this.bar.said.className = "said bad";
      say(this.bar.said, error instanceof TypeError ? "The station does not answer." : error.message);
    }
  }
}
