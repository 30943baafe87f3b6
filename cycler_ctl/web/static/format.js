// Numbers and words as people read them. The decimal sign is always a point and thousands are never grouped,
// so that a number means the same to everyone and can be copied.

const MINUS = "\u2212";

export function fixed(value, digits) {
  return value.toFixed(digits).replace("-", MINUS);
}

/** [number, unit] with about four significant digits in the prefix that suits the size. */
function scaled(value, unit, smallest) {
  const size = Math.abs(value);
  const prefixes = [[1, unit], [1e-3, "m" + unit], [1e-6, "\u00b5" + unit], [1e-9, "n" + unit]];
  const [factor, name] = prefixes.find(([f]) => size >= f * 0.099995 || f <= smallest) ?? prefixes.at(-1);
  const shown = value / factor;
  const digits = Math.abs(shown) >= 100 ? 1 : Math.abs(shown) >= 10 ? 2 : Math.abs(shown) >= 1 ? 3 : 4;
  return [fixed(shown, digits), name];
}

export function voltage(value) { return value == null ? null : [fixed(value, 4), "V"]; }
export function current(value) {
  if (value == null) return null;
  return Math.abs(value) < 5e-10 ? ["0.000", "mA"] : scaled(value, "A", 1e-6);
}
export function charge(value) { return value == null ? null : scaled(value, "Ah", 1e-6); }
export function temperature(value) { return value == null ? null : [fixed(value, 1), "\u00b0C"]; }

export function capacity(value) {
  return fixed(value, Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 1 ? 2 : 4);
}

export function duration(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export function clock(utc_s) {
  const at = new Date(utc_s * 1000);
  const time = at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (at.toDateString() === new Date().toDateString()) return time;
  return `${at.toLocaleDateString("en-GB", { day: "numeric", month: "short" })}, ${time}`;
}

// Each state has a word, a tone and a shape of its own: never colour alone.
const STATES = {
  idle: ["Idle", "calm", "M6.5 1.2a5.3 5.3 0 1 0 0 10.6a5.3 5.3 0 1 0 0-10.6m0 2a3.3 3.3 0 1 1 0 6.6a3.3 3.3 0 1 1 0-6.6"],
  running: ["Running", "running", "M3 1.3L11.6 6.5L3 11.7z"],
  paused: ["Paused", "wait", "M2.6 1.5h2.8v10H2.6zM7.6 1.5h2.8v10H7.6z"],
  finished: ["Finished", "done", "M5.1 11L0.9 6.7L2.4 5.2L5.1 8L10.8 2.2L12.2 3.7z"],
  stopped: ["Stopped", "calm", "M2 2h9v9H2z"],
  aborted: ["Aborted", "calm", "M2.9 1.4L6.5 5L10.1 1.4L11.6 2.9L8 6.5L11.6 10.1L10.1 11.6L6.5 8L2.9 11.6L1.4 10.1L5 6.5L1.4 2.9z"],
  tripped: ["Tripped", "bad", "M6.5 0.8L12.7 11.9H0.3zM5.8 4.6v3.6h1.4V4.6zM5.8 9.1v1.4h1.4V9.1z"],
  faulted: ["Fault", "bad", "M6.5 0L13 6.5L6.5 13L0 6.5zM5.8 3.3v3.9h1.4V3.3zM5.8 8.3v1.4h1.4V8.3z"],
  interrupted: ["Interrupted", "wait", "M1 5.2h4v2.6H1zM8 5.2h4v2.6H8zM6 1.5h1v2.4H6zM6 9.1h1v2.4H6z"],
  cannot_deenergise: ["Cannot switch off", "alarm", "M4 0.5h5L12.5 4v5L9 12.5H4L0.5 9V4zM5.8 3.2v4h1.4v-4zM5.8 8.4v1.4h1.4V8.4z"],
};

export function stateOf(state) {
  const [words, tone, shape] = STATES[state] ?? [state, "wait", STATES.idle[2]];
  return { words, tone, shape };
}

const OUTPUTS = {
  on: ["Output on", "M2 8H14M11 5L14 8L11 11"],
  off: ["Off confirmed", "M1.5 10H5L11 4.5M11 10H14.5"],
  unknown: ["Output unknown: treat it as on", "M8 2.2L14.6 13.6H1.4zM8 6.6V9.6M8 11.5V11.6"],
};

/** "Off" is only ever said when the instrument was asked and answered off. */
export function outputOf(energised) {
  const name = energised === false ? "off" : energised === true ? "on" : "unknown";
  const [words, shape] = OUTPUTS[name];
  return { name, words, shape };
}
