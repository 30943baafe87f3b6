// The protocol as it is executed, with the step marked that is executed now, or was the last one.

import { make } from "./dom.js";

export function protocolText([text, lines, step, live]) {
  const rows = text.replace(/\n$/, "").split("\n");
  const [first, last] = marked(lines, known(lines, step), rows);
  const words = live ? "executed now" : "executed last";
  return make("ol", { class: "code" }, ...rows.map((row, index) => {
    const within = index + 1 >= first && index + 1 <= last;
    const begins = index + 1 === first;
    return make("li", { class: within ? "now" : null, "aria-current": begins ? "step" : null }, make("code", {}, row || " "),
      begins ? make("span", { class: "mark" }, `step ${step}, ${words}`) : null);
  }));
}

/** The id in the text: a part of a step (2.1.cv) stands with its step, null for one in an included file. */
function known(lines, step) {
  for (let id = step ?? ""; id; id = id.slice(0, Math.max(0, id.lastIndexOf(".")))) if (id in lines) return id;
  return null;
}

/** First and last line of the step: up to the next one, without what is empty or a comment at its end. */
function marked(lines, id, rows) {
  if (id === null) return [Infinity, -Infinity];
  const first = lines[id];
  const depth = rows[first - 1].search(/\S/);
  let last = first;
  for (let line = first + 1; line <= rows.length; line += 1) {
    const row = rows[line - 1];
    if (!row.trim() || row.trim().startsWith("#")) continue;
    if (row.search(/\S/) <= depth - (rows[first - 1][depth] === "-" ? 0 : 1)) break;
    last = line;
  }
  return [first, last];
}
