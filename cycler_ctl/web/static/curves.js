// A run's curves: fetched whole once, then only what was recorded since.

const WORD = { 1: "delithiation", "-1": "lithiation" };

export class Curves {
  constructor(get, run, points, cycles) {
    Object.assign(this, { get, run, points, cycles, basis: { unit: "mAh" }, curves: [], lastSeq: 0, busy: false, at: -Infinity });
  }

  /** True when something new is there to draw. A long run is read by the station over several looks. */
  async refresh() {
    if (this.busy) return false;
    this.busy = true;
    this.at = performance.now();
    try {
      let news = await this.get(this.address());
      while (news.whole === false) news = await this.get(this.address());
      return this.merge(news);
    } finally {
      this.busy = false;
    }
  }

  address() {
    if (this.tooLong()) Object.assign(this, { lastSeq: 0 });
    return `/api/v1/runs/${this.run}/curves?after=${this.lastSeq}&points=${this.points}&cycles=${this.cycles}`;
  }

  tooLong() {
    const cycles = new Set(this.curves.map((curve) => curve.cycle));
    return cycles.size > this.cycles + 1 || this.curves.some((curve) => curve.capacity.length > this.points * 2);
  }

  merge(news) {
    const whole = this.lastSeq === 0;
    const grew = news.last_seq > this.lastSeq;
    this.basis = news.basis;
    this.lastSeq = news.last_seq;
    if (whole) this.curves = news.curves;
    else news.curves.forEach((curve) => this.append(curve));
    return whole || grew;
  }

  append(curve) {
    const known = this.curves.find((old) => old.cycle === curve.cycle && old.word === curve.word);
    if (!known) this.curves.push(curve);
    else for (const name of ["capacity", "voltage_V"]) known[name].push(...curve[name]);
  }

  /** Where the newest sample stands in this picture; null in a rest. */
  tip(sample) {
    const word = WORD[sample?.direction];
    if (!word || sample.run !== this.run) return null;
    const charge_Ah = sample.direction > 0 ? sample.cycle_oxidation_Ah : sample.cycle_reduction_Ah;
    const mass_g = this.basis.mass_g;
    return { word, cycle: sample.cycle, voltage_V: sample.voltage_V, capacity: (charge_Ah * 1000) / (mass_g ?? 1) };
  }
}
