/* The list of utterances: filters, order, and no more rows in the page than can be seen. */

const ROW = 58;
const SORTS = {
  "worst first": null,
  "coverage": (row) => row.coverage ?? 2,
  "confidence": (row) => row.confidence ?? 2,
  "length": (row) => -(row.duration ?? 0),
  "id": (row) => row.id,
};

class List {
  constructor(rows, box, filters, onChoose, review) {
    Object.assign(this, { all: rows, rows, box, onChoose, review, chosen: null });
    this.sizer = make("div", { role: "presentation" });
    box.append(this.sizer);
    this.drawn = new Map();
    box.addEventListener("scroll", () => this.draw(), { passive: true });
    box.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8, Home: -Infinity, End: Infinity }[event.key];
      if (step === undefined) return;
      event.preventDefault();
      this.move(step);
    });
    new ResizeObserver(() => this.draw()).observe(box);
    this.addFilters(filters);
    this.filter();
  }

  addFilters(place) {
    const options = (values) => [make("option", { value: "" }, "all"), ...values.map((value) => make("option", { value }, value))];
    const of = (pick) => [...new Set(this.all.flatMap(pick))].filter((value) => value !== null && value !== undefined).sort();
    const change = () => this.filter();
    this.states = {
      excluded: (row) => row.excluded,
      "not decided": (row) => !this.review.of(row.id),
      decided: (row) => this.review.of(row.id),
      "in conflict": (row) => this.review.conflict(row.id) || row.conflict,
    };
    this.fields = {
      rule: make("select", { onchange: change }, ...options(of((row) => row.findings.map((finding) => finding[0])))),
      domain: make("select", { onchange: change }, ...options(of((row) => [row.domain]))),
      speaker: make("select", { onchange: change }, ...options(of((row) => [row.speaker]))),
      state: make("select", { onchange: change }, ...options(Object.keys(this.states))),
      text: make("input", { type: "search", oninput: change, dir: "auto" }),
      order: make("select", { onchange: change }, ...Object.keys(SORTS).map((name) => make("option", { value: name }, DATA.blind && !SORTS[name] ? "as drawn" : name))),
    };
    const names = { rule: "Rule", domain: "Domain", speaker: "Speaker", state: "State", text: "Text or id", order: "Order" };
    for (const [name, field] of Object.entries(this.fields)) {
      field.id = `filter-${name}`;
      // Of which there is nothing to choose is not shown: speakers where nobody names them.
      if (field.options?.length !== 1) place.append(make("label", {}, names[name], field));
    }
    this.count = make("span", { role: "status", class: "soft" });
    place.append(this.count);
  }

  filter() {
    const [rule, domain, speaker, state, text, order] = Object.values(this.fields).map((field) => field.value);
    const wanted = text.toLowerCase();
    this.rows = this.all.filter((row) =>
      (!rule || row.findings.some((finding) => finding[0] === rule)) &&
      (!domain || row.domain === domain) &&
      (!speaker || row.speaker === speaker) &&
      (!state || this.states[state](row)) &&
      (!wanted || row.id.toLowerCase().includes(wanted) || (row.text ?? "").toLowerCase().includes(wanted)));
    const key = SORTS[order];
    if (key) this.rows = [...this.rows].sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
    this.count.textContent = `${this.rows.length} of ${this.all.length}`;
    this.sizer.style.height = `${this.rows.length * ROW}px`;
    for (const option of this.drawn.values()) option.remove();
    this.drawn.clear();
    this.choose(this.rows.includes(this.chosen) ? this.chosen : this.rows[0] ?? null);
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - 5);
    const last = Math.min(this.rows.length, first + Math.ceil(this.box.clientHeight / ROW) + 10);
    for (const [index, option] of this.drawn) {
      if (index < first || index >= last) {
        option.remove();
        this.drawn.delete(index);
      }
    }
    for (let index = first; index < last; index += 1) {
      if (!this.drawn.has(index)) {
        const option = this.option(index);
        this.drawn.set(index, option);
        this.box.append(option);
      }
    }
    const chosen = this.rows.indexOf(this.chosen);
    for (const [index, option] of this.drawn) option.setAttribute("aria-selected", index === chosen);
    if (this.drawn.has(chosen)) this.box.setAttribute("aria-activedescendant", `row-${chosen}`);
    else this.box.removeAttribute("aria-activedescendant");
  }

  option(index) {
    const row = this.rows[index];
    const verdict = this.review.of(row.id);
    const mark = (this.review.conflict(row.id) || row.conflict ? "⚡ conflict · " : "") + (verdict ? `✓ ${verdict.verdict.replace("_", " ")} · ` : "");
    const codes = [...new Set(row.findings.map((finding) => finding[0]))].slice(0, 4).join(" ");
    const option = make("div", {
      class: "option", role: "option", id: `row-${index}`,
      "aria-posinset": index + 1, "aria-setsize": this.rows.length, "aria-selected": false,
      onclick: () => this.choose(row),
    },
      make("div", { class: "top" },
        make("span", {}, mark, make("bdi", {}, row.id)),
        make("span", { class: row.excluded ? "STOP" : "soft" }, codes)),
      make("div", { dir: "auto" }, row.text || make("span", { class: "soft" }, row.findings[0]?.[2] ?? "no text")));
    option.style.top = `${index * ROW}px`;
    return option;
  }

  refresh(id) {
    const index = this.rows.findIndex((row) => row.id === id);
    this.drawn.get(index)?.remove();
    this.drawn.delete(index);
    this.draw();
  }

  choose(row) {
    this.chosen = row;
    const index = this.rows.indexOf(row);
    if (index >= 0) {
      const top = index * ROW;
      if (top < this.box.scrollTop) this.box.scrollTop = top;
      else if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
    }
    this.draw();
    this.onChoose(row);
  }

  /* The next row without a verdict, from the beginning again after the last. */
  moveOn() {
    const after = this.rows.indexOf(this.chosen) + 1;
    const open = (row) => !this.review.of(row.id);
    const row = this.rows.slice(after).find(open) ?? this.rows.find(open);
    if (row) this.choose(row);
    return row !== undefined;
  }

  /* Show what belongs to one value of a filter, and nothing else. */
  pick(name, value) {
    for (const [other, field] of Object.entries(this.fields)) if (other !== "order") field.value = other === name ? value : "";
    this.filter();
    this.show();
  }

  show() {
    this.box.scrollIntoView({ block: "nearest" });
    this.box.focus();
  }

  move(step) {
    const index = Math.min(this.rows.length - 1, Math.max(0, this.rows.indexOf(this.chosen) + step));
    if (this.rows[index] && this.rows[index] !== this.chosen) this.choose(this.rows[index]);
  }
}
