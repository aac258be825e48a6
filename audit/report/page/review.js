/* Verdicts: kept in this browser and exported, or sent to `asr review`, which serves the page. */

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
    this.given.set(one.id, [...(this.given.get(one.id) ?? []), one]);
  }

  of(id) {
    return this.given.get(id)?.at(-1) ?? null;
  }

  give(verdict) {
    const one = { report: this.digest, ...verdict, who: this.who, at: new Date().toISOString() };
    this.put(one);
    this.keep(one);
  }

  undo(id) {
    const before = this.given.get(id);
    if (!before?.length) return false;
    const left = before.slice(0, -1);
    this.given.set(id, left);
    const again = left.at(-1);
    this.keep(again ? { ...again, at: new Date().toISOString() }
      : { report: this.digest, id, verdict: "withdrawn", text: null, start: null, end: null, note: "", who: this.who, at: new Date().toISOString() });
    return true;
  }

  keep(one) {
    if (this.server) {
      fetch("verdicts", { method: "POST", headers: { "Content-Type": "application/json", "X-Token": this.server.token }, body: JSON.stringify(one) })
        .then((answer) => this.onChange(one.id, answer.ok ? "" : "Not saved: asr review refused it; look at its terminal."))
        .catch(() => this.onChange(one.id, "Not saved: asr review does not answer. Is it still running?"));
      return;
    }
    try {
      localStorage.setItem(this.place, JSON.stringify([...this.given.values()].flat()));
    } catch {
      this.lost = true;
    }
    this.onChange(one.id, this.lost ? "This browser keeps nothing for this page: export before you close it." : "");
  }

  setWho(name) {
    this.who = name.trim();
    try {
      localStorage.setItem("asr-reviewer", this.who);
    } catch {
      this.lost = true;
    }
  }

  lines() {
    return [...this.given.values()].filter((all) => all.length).map((all) => `${JSON.stringify(all.at(-1))}\n`).join("");
  }

  count() {
    return [...this.given.values()].filter((all) => all.length).length;
  }
}
