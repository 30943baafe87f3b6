// Pause, resume, skip, stop, acknowledge: each says before what it will do, and after what has become of it.

import { act, get } from "./api.js";
import { actor, ask } from "./ask.js";
import { stateOf } from "./format.js";

const KEEP = { running: "Keep running", paused: "Keep paused" };

const WILL = {
  pause: ({ name }) => ({
    title: `Pause ${name}?`, yes: `Pause ${name}`, tone: "sure calm",
    text: "The output is switched off now, which opens its relay where it has one, and that is read back. The cell rests at open circuit.\nThe step keeps its place: resume goes on with what is left of it.",
  }),
  resume: ({ name, status }) => ({
    title: `Resume ${name}?`, yes: `Resume ${name}`, tone: "sure",
    text: `The output is switched ON again and the run goes on${at(status)}. It is refused where the cell is not as it was left.`,
  }),
  skip: ({ name, status }) => ({
    title: `Skip this step of ${name}?`, yes: "Skip the step", tone: "sure",
    text: `What is left of the step is lost${at(status)}; it cannot be taken up again.\nThe protocol goes on with its next step at once, and the output stays on where that step needs it.`,
  }),
  stop: ({ name }) => ({
    title: `Stop ${name}?`, yes: `Stop ${name}`, tone: "sure",
    text: "The output is switched off now, and that is read back. The run ends and cannot be taken up again; what was recorded is kept.",
  }),
  acknowledge: ({ name, status }) => ({
    title: `Have you looked at the cell of ${name}?`, yes: "I have looked", tone: "sure calm",
    text: `${stateOf(status.state).words}: ${status.reason}\nNothing is switched on. The channel is free for another run${status.state === "interrupted" ? ", and this one can then no longer be resumed" : ""}.`,
  }),
};

const DONE = { pause: "paused", resume: "goes on", skip: "goes on with the next step", stop: "stopped", acknowledge: "acknowledged" };

/** Ask, do, and return what has become of it in words; "" where the person was not sure. Throws what the station says. */
export async function perform(dialog, channel, word, saying) {
  const will = WILL[word](channel);
  const [meant, { run }] = [facts(channel), channel.status];
  if (!await ask(dialog, { ...will, no: KEEP[channel.status.state] ?? "Not now" })) return "";
  saying(word === "stop" || word === "pause" ? `${channel.name}: switching off; not confirmed yet` : `${channel.name}: asked`);
  if (word !== "stop" && word !== "pause" && facts(channel) !== meant) throw new Error(`${channel.name} has changed since you were asked: look again.`);
  await act(channel.name, word, actor(), word === "stop" ? null : run);
  return outcome(channel.name, word);
}

/** What the question was about; off is always off. */
function facts({ status: { run, state, reason, step, cycle } }) { return JSON.stringify([run, state, reason, step, cycle]); }

/** "Off" only when it was read back, and not before. */
async function outcome(name, word) {
  if (word !== "stop" && word !== "pause") return `${name}: ${DONE[word]}`;
  const now = (await get("/api/v1/channels")).find(({ channel }) => channel === name);
  const off = now?.energised === false ? "off confirmed" : "OFF IS NOT CONFIRMED: treat the output as on";
  return `${name}: ${DONE[word]}; ${off}`;
}

function at({ step, doing, what }) {
  const doing_ = doing ?? what;
  return step == null ? "" : ` (step ${step}${doing_ ? `: ${doing_}` : ""})`;
}
