// Files of a run, made by the station when asked for. The token travels in a header, so the file is fetched and then
// handed to the browser; what is going on is said, and what failed too.

import { headers } from "./api.js";
import { make, say } from "./dom.js";
import { duration } from "./format.js";

const KINDS = [
  ["bdf-csv", "BDF (CSV)", "the rows, for a spreadsheet or any program"],
  ["bdf-parquet", "BDF (Parquet)", "the same, small and typed"],
  ["bundle", "Bundle (zip)", "everything of the run with checksums, for a repository"],
  ["report-html", "Report", "one page that proves the run"],
];
const FIGURES = { curves: "voltage-capacity", time: "voltage-time", cycles: "cycles", dqdv: "dqdv" };

export function fileList(id, view) {
  const lines = KINDS.map(([kind, words, what]) => fileLine(id, () => kind, words, what));
  lines.push(fileLine(id, () => `figure-${FIGURES[view()]}`, "Figure (SVG)", "the picture above, drawn for paper"));
  return make("ul", { class: "files" }, ...lines);
}

function fileLine(id, kind, words, what) {
  const part = { said: make("span", { class: "said", role: "status" }, what), bar: make("progress", { hidden: true, "aria-label": words }) };
  let abort = null;
  const button = make("button", { class: "act", type: "button", "data-file": words, onclick: async () => {
    if (abort) { abort.abort(); return; }
    abort = new AbortController();
    say(button, "Cancel");
    button.setAttribute("aria-label", `Cancel ${words}`);
    await fetched(`/api/v1/runs/${id}/files/${kind()}`, part, abort.signal);
    abort = null;
    say(button, words);
    button.removeAttribute("aria-label");
  } }, words);
  return make("li", {}, button, part.said, part.bar);
}

async function fetched(address, part, signal) {
  const told = (words, bad) => { say(part.said, words); part.said.className = bad ? "said bad" : "said"; };
  const begun = performance.now();
  const waiting = setInterval(() => told(`The station makes it, for ${duration((performance.now() - begun) / 1000)}`), 1000);
  part.bar.hidden = false;
  part.bar.removeAttribute("value");
  told("The station makes it");
  try {
    const answer = await fetch(address, { headers: headers(), cache: "no-store", signal });
    clearInterval(waiting);
    if (!answer.ok) throw new Error(await why(answer));
    const { name, blob } = await received(answer, part.bar, told);
    hand(blob, name);
    told(`${name}, ${size(blob.size)}, is with your browser`);
  } catch (error) {
    told(error.name === "AbortError" ? "Cancelled" : `Not made: ${error instanceof TypeError ? "the station does not answer" : error.message}`, error.name !== "AbortError");
  } finally {
    clearInterval(waiting);
    part.bar.hidden = true;
  }
}

async function received(answer, bar, told) {
  const all = Number(answer.headers.get("content-length")) || null;
  const parts = [];
  let bytes = 0;
  for (const reader = answer.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    bytes += value.length;
    if (all) Object.assign(bar, { max: all, value: bytes });
    told(`${size(bytes)}${all ? ` of ${size(all)}` : ""}`);
  }
  if (all && bytes !== all) throw new Error(`the connection broke after ${size(bytes)} of ${size(all)}`);
  const name = /filename="([^"/\\]+)"/.exec(answer.headers.get("content-disposition") ?? "")?.[1] ?? "run";
  return { name, blob: new Blob(parts) };
}

async function why(answer) {
  const said = await answer.json().catch(() => ({}));
  return typeof said.detail === "string" ? said.detail : `the station answered ${answer.status}`;
}

function hand(blob, name) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function size(bytes) {
  return bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
