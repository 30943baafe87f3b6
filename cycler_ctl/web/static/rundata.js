// What the station knows of one run, asked for when it is looked at; a picture is kept until a newer one is there.

import { get } from "./api.js";

const LONGEST_READ = 400; // looks at a run that is being read: more than any run the station keeps in memory

export class RunData {
  constructor(id) { Object.assign(this, { id, about: null, events: [], answers: {} }); }

  get live() { return this.about?.state === "running"; }
  get mass_g() { return this.about.basis.mass_g; }
  get area_cm2() { return this.about.cell.area_cm2 ?? null; }
  get name() { return this.about.cell.name || this.id; }

  async describe() {
    const [about, { events }] = await Promise.all([get(`/api/v1/runs/${this.id}`), get(`/api/v1/runs/${this.id}/events`)]);
    Object.assign(this, { about, events });
  }

  curves() { return this.ask("curves", "points=400&cycles=24"); }
  dqdv() { return this.ask("dqdv", "cycles=12"); }
  samples(points, window) {
    return this.ask("samples", `points=${points}${window ? `&from_s=${window[0]}&to_s=${window[1]}` : ""}`);
  }

  async ask(what, query) {
    this.answers[what] = await get(`/api/v1/runs/${this.id}/${what}?${query}`);
    return this.answers[what];
  }

  /** From Ah in the server's unit to `per`: "gram", "cm2" or "cell". */
  factor(per) { return (this.mass_g ?? 1) / ({ gram: this.mass_g, cm2: this.area_cm2 }[per] ?? 1); }
  perAh(per) { return 1000 / ({ gram: this.mass_g, cm2: this.area_cm2 }[per] ?? 1); }
}

/** What capacities of all these runs can be divided by. */
export function divisors(runs) {
  const can = [["gram", "per gram"], ["cm2", "per cm\u00b2"], ["cell", "per cell"]];
  const known = { gram: (run) => run.mass_g, cm2: (run) => run.area_cm2, cell: () => 1 };
  return can.filter(([per]) => runs.every((run) => known[per](run)));
}

export const UNITS = { gram: "mAh g\u207b\u00b9", cm2: "mAh cm\u207b\u00b2", cell: "mAh" };

/** Ask again and again while the station reads a long run; `seen` is told of each answer. False where it was given up. */
export async function untilWhole(ask, seen) {
  for (let times = 0; times < LONGEST_READ; times += 1) {
    const answers = await ask();
    if (!seen(answers)) return false;
    if (answers.every((answer) => answer.whole !== false)) return true;
  }
  return false;
}

/** Words for a run that is being read, "" for runs that are. */
export function readingWords(answers) {
  const part = answers.filter((answer) => answer.whole === false);
  if (!part.length) return "";
  const [read, of] = [part.reduce((sum, one) => sum + one.read, 0), part.reduce((sum, one) => sum + one.of, 0)];
  return `Reading ${of.toLocaleString("fr")} rows: ${Math.floor((100 * read) / of)} %. Until then the picture holds only a few of them.`;
}
