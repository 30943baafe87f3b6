// The overview: one tile a channel, kept up to date by one stream.

import { perform } from "./acting.js";
import { get, headers, mayAct, takeToken } from "./api.js";
import { ask } from "./ask.js";
import { Bar } from "./bar.js";
import { channelOf, channels, hear, tell as spread } from "./channels.js";
import { Curves } from "./curves.js";
import { Detail } from "./detail.js";
import { make, say } from "./dom.js";
import { clock, duration, stateOf } from "./format.js";
import { List } from "./list.js";
import { Queue } from "./queue.js";
import { Start } from "./start.js";
import { urgency } from "./states.js";
import { follow } from "./stream.js";
import { Tile } from "./tile.js";

const CURVE_EVERY_MS = 5000;
const NAME_EVERY_MS = 30000; // what the foot of the page says, MQTT among it
const PATIENCE_MS = 10000; // a running channel that is silent for longer is stale, unless it is slow by choice

const TOLD_MS = 20000; // then what has been done is read; that an output is not off stays

const ON_TILES = new Set(["tripped", "faulted", "interrupted", "held_back"]); // their tile says it

const at = (id) => document.getElementById(id);
const known = { lost: null, status: 0, alarms: [], told: null };
const detail = new Detail(at("detail"), { get });
const queue = new Queue(at("queue"), { add: (channel) => start.open(channel.name) });
const list = new List(at("list"), { open: (channel) => detail.open(channel), stop, queue: (channel) => queue.open(channel), mayAct });
const start = new Start(at("start"), {
  channels: () => shown(),
  started: (channel, run) => tell(`${channel}: started, run ${run}`),
  queued: (channel) => queue.open(channelOf(channel)),
});
const bar = new Bar(at("bar"), { changed: arrange, start: () => start.open("") });

const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
  const channel = channels.get(entry.target.dataset.channel);
  channel.visible = entry.isIntersecting;
  if (channel.visible) redraw(channel);
}));
const sized = new ResizeObserver((entries) => entries.forEach((entry) => {
  const channel = channels.get(entry.target.closest(".tile").dataset.channel);
  if (channel.visible) redraw(channel);
}));

const on = {
  channel(status) {
    const channel = channelOf(status.channel);
    channel.status = status;
    if (!channel.tile) addTile(channel);
    showChannel(channel);
    summarise();
    arrange();
  },
  sample(sample) {
    const channel = channelOf(sample.channel);
    const now = performance.now();
    if (channel.came !== null) channel.interval = 0.7 * channel.interval + 0.3 * (now - channel.came);
    Object.assign(channel, { sample, came: now, dirty: true });
    if (!channel.tile) return;
    channel.tile.showSample(sample);
    list.showSample(channel);
    if (channel.visible) channel.tile.follow(channel.curves, sample);
    detail.sampled(channel);
  },
  alarms({ active }) {
    known.alarms = active;
    showAlarms();
    for (const channel of shown()) list.show(alarmed(channel));
    arrange();
  },
  durable({ run }) {
    for (const channel of channels.values()) if (runOf(channel) === run) channel.dirty = true;
  },
};

function addTile(channel) {
  channel.tile = new Tile(channel.name, { open: () => detail.open(channel), stop: () => stop(channel), queue: () => queue.open(channel) });
  at("tiles").append(channel.tile.element);
  seen.observe(channel.tile.element);
  sized.observe(channel.tile.part.plot);
  at("empty").hidden = true;
}

function shown() { return [...channels.values()].filter(({ tile }) => tile); }

function alarmed(channel) {
  channel.alarms = known.alarms.filter((alarm) => alarm.channel === channel.name);
  return channel;
}

/** Tiles or lines, those that are looked for. */
function arrange() {
  const all = shown();
  const view = bar.view(all.length);
  const wanted = new Set(all.filter((channel) => bar.wants(channel)));
  at("lines").hidden = view !== "list" || !all.length;
  at("tiles").hidden = view !== "tiles";
  for (const channel of all) channel.tile.element.hidden = !wanted.has(channel);
  list.filter((channel) => wanted.has(channel));
  list.arrange();
  bar.show(view, wanted.size, all.length, mayAct());
}

function tell(words) {
  say(at("happened"), words);
  clearTimeout(known.told);
  if (!words.includes("NOT")) known.told = setTimeout(() => say(at("happened"), ""), TOLD_MS);
}

function showChannel(channel) {
  list.show(alarmed(channel));
  channel.tile.show(channel.status, channel.sample, mayAct());
  showAge(channel);
  detail.changed(channel);
  spread("changed", channel);
}

function runOf(channel) { return channel.status?.run ?? channel.sample?.run ?? null; }

function redraw(channel) { channel.tile.draw(channel.curves, channel.sample); }

async function refreshCurves(channel) {
  const run = runOf(channel);
  if (!run) return;
  if (channel.curves?.run !== run) channel.curves = new Curves(get, run, 160, 8);
  if (!channel.dirty || performance.now() - channel.curves.at < CURVE_EVERY_MS) return;
  channel.dirty = false;
  try {
    if (await channel.curves.refresh()) redraw(channel);
  } catch {
    channel.dirty = true; // the run file may not be there yet; the next round asks again
  }
}

function showAge(channel) {
  const { status, sample, came, interval, tile } = channel;
  const silent = came === null ? 0 : performance.now() - came;
  const quiet = silent > Math.max(PATIENCE_MS, 3 * interval);
  if (status.state === "running" || status.state === "paused") {
    const stale = quiet && known.lost === null && status.state === "running";
    tile.showAge(stale ? `no new value for ${duration(silent / 1000)}` : "", stale ? "stale" : "live");
  } else {
    tile.showAge(sample ? `values of ${clock(sample.utc_s)}` : "", "old");
  }
}

function summarise() {
  const states = [...channels.values()].filter(({ status }) => status).map(({ status }) => status.state);
  const kinds = [...new Set(states)].sort((a, b) => urgency(b) - urgency(a));
  const words = kinds.map((kind) => `${states.filter((state) => state === kind).length} ${stateOf(kind).words.toLowerCase()}`);
  say(at("summary"), words.join(", "));
}

function showAlarms() {
  const emergencies = known.alarms.filter(({ severity }) => severity === "emergency");
  const others = known.alarms.filter(({ severity, kind }) => severity !== "emergency" && !ON_TILES.has(kind));
  showList(at("alarm"), emergencies);
  showList(at("alarms"), others);
}

function showList(element, alarms) {
  element.hidden = alarms.length === 0;
  const lines = alarms.map(({ what, action, detail, acknowledged_by: by }) => make("span", { class: "line", title: detail }, `${what}. ${action}${by ? ` (seen by ${by})` : ""}`));
  if (alarms.length && element.textContent !== lines.map((line) => line.textContent).join("")) element.replaceChildren(...lines);
}

function live() {
  if (known.lost !== null) Object.assign(known, { lost: null, status: 0 });
  showLink();
}

function lost(status) {
  if (known.lost === null) known.lost = performance.now();
  known.status = status;
  showLink();
}

function showLink() {
  const gone = known.lost !== null;
  document.body.classList.toggle("lost", gone);
  at("link").className = `link ${gone ? "lost" : "live"}`;
  say(at("link-words"), gone ? "Not connected" : "Live");
  at("banner").hidden = !gone;
  if (gone) say(at("banner"), lostText());
}

function lostText() {
  if (known.status === 401) return "This station asks for its token: open the address with #token=\u2026 that cycler-ctl printed.";
  const long = performance.now() - known.lost;
  const old = long < 5000 ? "" : ` ${duration(Math.floor(long / 5000) * 5)} ago`;
  return `The connection to the station was lost${old}. What is shown is old. The station goes on by itself; this page comes back by itself.`;
}

async function stop(channel) {
  channel.tile.part.stop.disabled = true;
  try {
    tell(await perform(at("confirm"), channel, "stop", tell));
  } catch (error) {
    tell("");
    await ask(at("confirm"), { title: `${channel.name} was not stopped`, text: error.message, yes: "Understood", no: null });
  } finally {
    channel.tile.part.stop.disabled = false;
  }
}

function everySecond() {
  if (known.lost !== null) showLink();
  for (const channel of channels.values()) {
    if (!channel.tile) continue;
    showAge(channel);
    if (channel.visible) refreshCurves(channel);
  }
  list.arrange();
  detail.everySecond();
  queue.everySecond();
}

async function nameStation() {
  try {
    const station = await get("/api/v1/station");
    say(at("station"), station.name);
    document.title = `${station.name} \u00b7 cycler-ctl`;
    at("empty").hidden = station.channels.length > 0;
    const mqtt = station.mqtt && !station.mqtt.connected ? [`MQTT: not connected: ${station.mqtt.message}`] : [];
    const share = station.share && station.share.trouble ? [`Share: ${station.share.waiting} runs wait: ${station.share.trouble}`] : [];
    say(at("rights"), [mayAct() ? "You may act here" : "View only", ...mqtt, ...share, `cycler-ctl ${station.version}`].join(" \u00b7 "));
  } catch {
    // the stream tells the user that the station cannot be reached
  }
}

hear("queue", (channel) => queue.open(channel));

function takeTokenNow() {
  if (!takeToken()) return;
  nameStation();
  shown().forEach(showChannel);
  arrange();
}

takeToken();
addEventListener("hashchange", takeTokenNow);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => detail.restyle());
setInterval(everySecond, 1000);
setInterval(nameStation, NAME_EVERY_MS);
nameStation();
follow("/api/v1/stream", headers, { live, lost, event: (name, data) => on[name]?.(data) });
