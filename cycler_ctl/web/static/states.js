// How much a state asks for a person.

import { stateOf } from "./format.js";

const TONES = ["calm", "done", "running", "wait", "bad", "alarm"];

export function urgency(state) { return TONES.indexOf(stateOf(state).tone); }

/** Somebody has to look: a latched state, or an alarm that is about this channel. */
export function needsAPerson({ status, alarms }) {
  return alarms.length > 0 || status.state === "interrupted" || urgency(status.state) >= TONES.indexOf("bad");
}
