// A channel's queue in words: short for tiles and lists, and what a person is asked before something begins.

export function queueWords(queue) { return queue?.length ? `Queue (${queue.length})` : "Queue"; }

/** What waits, and what it waits for; "" where nothing does. */
export function nextWords(queue) {
  if (!queue?.length) return "";
  const waits = queue.held ? `held: ${queue.held}` : queue.ready ? "its cell is ready" : "waits until its cell is marked ready";
  const more = queue.length > 1 ? ` (and ${queue.length - 1} more)` : "";
  return `Next: ${queue.next ?? "?"}${more}; ${waits}`;
}

/** For a line of the dense list. */
export function lineWords(queue) {
  if (!queue?.length) return "";
  const state = queue.held ? ", held" : queue.ready ? ", ready" : "";
  return `${queue.length}${state}: ${queue.next ?? "?"}`;
}

const UNDER_WAY = ["running", "paused"];
const LATCHED = ["tripped", "faulted", "cannot_deenergise", "interrupted"];

/** Why it waits, and what a person can do about it. */
export function whyWords(queue, status) {
  const [first] = queue.entries;
  if (queue.held !== null) return `Held: ${queue.held}. Look at the cell${LATCHED.includes(status.state) ? ", acknowledge the channel" : ""}, then release the queue.`;
  if (!first) return "Nothing waits here. A run that is added begins only after a person has marked its cell ready.";
  if (UNDER_WAY.includes(status.state)) {
    if (queue.ready === first.id) return "The next one is ready: it begins by itself when the run in progress has ended as it should.";
    if (status.cell !== first.cell) return `A run is under way with cell ${status.cell}. When it has ended, put cell ${first.cell} in, then mark it ready.`;
    return "A run is under way. The next one can be marked ready, because it is for the same cell.";
  }
  return queue.waits ? `${queue.waits[0].toUpperCase()}${queue.waits.slice(1)}.` : "It begins now.";
}

/** As the station decides it; where this is behind the times, the station refuses. */
export function mayBeReady(queue, status) {
  if (queue.held !== null || LATCHED.includes(status.state)) return false;
  return !UNDER_WAY.includes(status.state) || status.cell === queue.entries[0].cell;
}

export function beginsNow(status) { return !UNDER_WAY.includes(status.state); }

export function readyQuestion(name, status, { protocol, cell }) {
  const when = beginsNow(status)
    ? `The channel is free: \u201c${protocol}\u201d begins AT ONCE, and the output of ${name} goes ON now where its first step needs it.`
    : `\u201c${protocol}\u201d begins by itself as soon as the run in progress has ended as it should, at once if it has ended by then. The output of ${name} goes ON then, and nobody is asked again.`;
  return { title: `Is cell ${cell} in ${name}?`, text: `${when}\nSay so only if you see that this very cell is connected to ${name}.`, yes: beginsNow(status) ? `It is: begin on ${name} now` : "It is: mark it ready", no: "Not now", tone: "sure" };
}
