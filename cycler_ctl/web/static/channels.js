// What is known of each channel, for every part of the page; app.js follows the station and tells the others.

export const channels = new Map(); // name -> { name, status, sample, alarms, ... }
const news = new EventTarget();

export function channelOf(name) {
  if (!channels.has(name)) channels.set(name, { name, status: null, sample: null, alarms: [], tile: null, curves: null, came: null, interval: 1000, dirty: true, visible: false });
  return channels.get(name);
}

/** `what`: "changed", or "queue" where somebody wants to see its queue. */
export function tell(what, channel) { news.dispatchEvent(new CustomEvent(what, { detail: channel })); }

/** Calls `heard(channel)` until what it returns is called. */
export function hear(what, heard) {
  const listener = ({ detail }) => heard(detail);
  news.addEventListener(what, listener);
  return () => news.removeEventListener(what, listener);
}
