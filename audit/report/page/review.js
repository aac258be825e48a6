/* Verdicts: kept in this browser and exported, or sent to `asr review`, which serves the page. */

const SAME_EDGE = 0.25; // seconds that two people's spans may differ by and still be the same

class Review {
  constructor(digest, server, onChange) {
    Object.assign(this, { digest, server, onChange, given: new Map() });
    this.place = `asr-review ${digest}`;
    this.who = "";
    try {
      this.who = server?.reviewer || (localStorage.getItem("asr-reviewer") ?? "");
      for (const one of server?.verdicts ?? JSON.parse(localStorage.getItem(this.place) ?? "[]")) this.put(one);
    } catch {
      this.lost = true; // a browser that keeps nothing for files from disk
    }
  }

  put(one) {
    const before = this.given.get(one.id) ?? [];
    this.given.set(one.id, one.verdict === "withdrawn" ? before.filter((other) => other.who !== one.who) : [...before, one]);
  }

  /* What was said without a name counts as one's own. */
  mine(one) {
    return one.who === this.who || one.who === "";
  }

  of(id) {
    return this.given.get(id)?.findLast((one) => this.mine(one)) ?? null;
  }

  /* The last word of each other person. */
  others(id) {
    const last = (this.given.get(id) ?? []).filter((one) => !this.mine(one)).map((one) => [one.who, one]);
    return [...new Map(last).values()];
  }

  /* Whether two people want different things done; as `Judgement.conflict` has it. */
  conflict(id) {
    if (DATA.blind) return false; // what others say is not to be known
    const last = [...new Map((this.given.get(id) ?? []).map((one) => [one.who, one])).values()];
    const [first, ...rest] = last.filter((one) => one.verdict !== "unsure");
    return rest.some((one) => one.verdict !== first.verdict || one.text !== first.text ||
      Math.abs(one.start - first.start) > SAME_EDGE || Math.abs(one.end - first.end) > SAME_EDGE);
  }

  /* Returns, once it is known, what went wrong; empty: it is kept. */
  give(verdict) {
    const one = { report: this.digest, ...verdict, who: this.who, at: new Date().toISOString() };
    const before = this.given.get(one.id) ?? [];
    this.put(one);
    return this.keep(one, before);
  }

  /* As `give`; null: there is nothing to undo. */
  undo(id) {
    const last = this.of(id);
    if (!last) return null;
    const before = this.given.get(id);
    this.given.set(id, before.filter((one) => one !== last));
    const again = this.of(id);
    const at = new Date().toISOString();
    return this.keep(again ? { ...again, at }
      : { report: this.digest, id, verdict: "withdrawn", text: null, start: null, end: null, note: "", who: last.who, at }, before);
  }

  async keep(one, before) {
    this.onChange(one.id);
    if (!this.server) return this.store();
    const problem = await this.send(one);
    if (problem) {
      this.given.set(one.id, before);
      this.onChange(one.id);
    }
    return problem;
  }

  async send(one) {
    const headers = { "Content-Type": "application/json", "X-Token": this.server.token };
    try {
      const answer = await fetch("verdicts", { method: "POST", headers, body: JSON.stringify(one) });
      return answer.ok ? "" : "Not saved: asr review refused it. Open the address that it prints.";
    } catch {
      return "Not saved: asr review does not answer. Is it still running?";
    }
  }

  store() {
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.given.values()].flat()));
    } catch {
      this.lost = true;
    }
    return this.lost ? "This browser keeps nothing for this page: export before you close it." : "";
  }

  setWho(name) {
    this.who = name.trim();
    if (!this.server) {
      // What was said in this browser before the name was given was said by the same person.
      for (const [id, all] of this.given) this.given.set(id, all.map((one) => (one.who ? one : { ...one, who: this.who })));
      this.store();
    }
    try {
      localStorage.setItem("asr-reviewer", this.who);
    } catch {
      this.lost = true;
    }
  }

  lines() {
    const last = [...this.given.values()].flatMap((all) => [...new Map(all.map((one) => [one.who, one])).values()]);
    return last.map((one) => `${JSON.stringify(one)}\n`).join("");
  }

  count() {
    return [...this.given.keys()].filter((id) => this.of(id)).length;
  }
}
