// All stations as the historian's database has them. Asked anew every few seconds; nothing can be done from here.

import { get, takeToken } from "./api.js";
import { icon, make, say } from "./dom.js";
import { stateOf } from "./format.js";

const EVERY_MS = 5000;
const VERDICTS = { running: "goes on", open: "rows are missing", differs: "differs from the station's", complete: "complete" };
const NUMBERS = new Set(["Rows", "Missing"]);
const STATIONS = { online: "running", stopping: "wait", offline: "bad" };
const byId = (id) => document.getElementById(id);
const cards = new Map();
let openRuns = "";

function ago(seconds) {
  if (seconds == null) return "never";
  if (seconds < 90) return `${Math.round(seconds)} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 172800 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

function pill(words, tone, shape) {
  return make("span", { class: `state ${tone}` }, icon(shape, 13), words);
}

function table(heads, rows) {
  const head = make("tr", {}, ...heads.map((words) => make("th", { scope: "col", class: NUMBERS.has(words) ? "number" : null }, words)));
  return make("table", { class: "table" }, make("thead", {}, head), make("tbody", {}, ...rows));
}

// A state that nobody has repeated says nothing of now: it loses its colour and is named so.
function channelRow(channel) {
  const { words, tone, shape } = stateOf(channel.state);
  const said = channel.stale ? `${words}, ${ago(channel.heard_s_ago)}` : words;
  return make("tr", { class: channel.stale ? "stale" : "" },
    make("td", {}, channel.channel), make("td", {}, pill(said, channel.stale ? "calm" : tone, shape)),
    make("td", { class: "run" }, channel.run ?? ""), make("td", { class: "words" }, channel.reason));
}

function wrong(station) {
  const bad = (channel) => ["bad", "alarm"].includes(stateOf(channel.state).tone);
  return station.stale || station.state === "offline" || station.alarms.length > 0 || station.channels.some(bad);
}

function stationCard(station) {
  const state = station.stale ? "Not heard" : station.state[0].toUpperCase() + station.state.slice(1);
  const tone = station.stale ? "bad" : STATIONS[station.state] ?? "wait";
  const shape = stateOf(tone === "running" ? "running" : "interrupted").shape;
  return make("article", { class: `station${wrong(station) ? " bad" : ""}`, "aria-label": `${station.site}/${station.station}` },
    make("div", { class: "station-head" },
      make("h2", {}, station.station, " ", make("small", {}, station.site)), pill(state, tone, shape)),
    make("p", { class: "heard" }, `heard ${ago(station.heard_s_ago)}`),
    ...station.alarms.map((words) => make("p", { class: "reason bad" }, words)),
    make("div", { class: "scroll" }, table(["Channel", "State", "Run", ""], station.channels.map(channelRow))));
}

// A card stays the same element until the station says something else: a selection and a screen reader stay undisturbed.
function cardOf(station) {
  const key = `${station.site}/${station.station}`;
  const channels = station.channels.map((channel) => ({ ...channel, heard_s_ago: channel.stale && ago(channel.heard_s_ago) }));
  const text = JSON.stringify({ ...station, heard_s_ago: null, channels });
  if (cards.get(key)?.text !== text) cards.set(key, { text, element: stationCard(station) });
  const { element } = cards.get(key);
  say(element.querySelector(".heard"), `heard ${ago(station.heard_s_ago)}`);
  return element;
}

function arrange(elements) {
  const list = byId("stations");
  if (list.children.length !== elements.length || elements.some((each, number) => list.children[number] !== each)) {
    list.replaceChildren(...elements);
  }
}

function runRow(run) {
  const verdict = run.verdict === "open" && run.missing === 0 ? "being compared" : VERDICTS[run.verdict] ?? run.verdict;
  return make("tr", {}, make("td", { class: "run" }, run.run), make("td", {}, `${run.site}/${run.station} ${run.channel}`),
    make("td", {}, verdict), make("td", { class: "number" }, String(run.rows)),
    make("td", { class: "number" }, String(run.missing)));
}

function counted(number, word) { return `${number} ${word}${number === 1 ? "" : "s"}`; }

function summary(fleet) {
  const channels = fleet.stations.reduce((sum, station) => sum + station.channels.length, 0);
  const silent = fleet.stations.filter((station) => station.stale || station.state === "offline").length;
  const alarms = fleet.stations.reduce((sum, station) => sum + station.alarms.length, 0);
  return [counted(fleet.stations.length, "station"), counted(channels, "channel"), silent && `${silent} not online`,
    alarms && counted(alarms, "alarm")].filter(Boolean).join(", ");
}

function troubles(fleet) {
  return [fleet.refused && `${counted(fleet.refused, "message")} said something else than what is here, and were refused: table alarm`,
    fleet.dead_letters && `${counted(fleet.dead_letters, "message")} could not be read: table dead_letter`].filter(Boolean).join(". ");
}

function show(fleet) {
  say(byId("summary"), summary(fleet));
  byId("empty").hidden = fleet.stations.length > 0;
  const said = troubles(fleet);
  if (said) warn(said);
  else byId("banner").hidden = true;
  const sorted = [...fleet.stations].sort((one, other) => wrong(other) - wrong(one));
  arrange(sorted.map(cardOf));
  const open = fleet.runs.filter((run) => run.verdict !== "complete");
  say(byId("runs-summary"), `Of the newest ${fleet.runs.length}: ${fleet.runs.length - open.length} complete, ${open.length} not (yet).`);
  if (JSON.stringify(open) === openRuns) return;
  openRuns = JSON.stringify(open);
  byId("runs-table").replaceChildren(...(open.length ? [table(["Run", "Where", "", "Rows", "Missing"], open.map(runRow))] : []));
}

function warn(words) {
  say(byId("banner"), words);
  byId("banner").hidden = false;
}

function link(name, words) {
  byId("link").className = `link ${name}`;
  say(byId("link-words"), words);
}

async function again() {
  try {
    const fleet = await get("/api/v1/fleet");
    show(fleet);
    link("live", "Live");
  } catch (error) {
    link("lost", "No news");
    warn(`${error.message}. What stands below is old.`);
  }
  setTimeout(again, EVERY_MS);
}

takeToken();
again();
