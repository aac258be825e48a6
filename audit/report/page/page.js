/* Puts the page together. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const KEYS = [
  ["Space", "play or pause"], ["j or ↓", "next utterance"], ["k or ↑", "utterance before"],
  ["← →", "half a second back or on"], ["f", "jump to the flagged span"], ["l", "loop it"],
  ["s", "speed"], ["[ ]", "mark where a trim begins and ends"],
  ...VERDICTS.map(([, title, key, what]) => [key, `${title}: ${what}`]),
  ["m", "note"], ["u", "undo the verdict"], ["x", "export the verdicts"], ["?", "this help"],
];

function top() {
  const { estimate, limits, decision } = DATA;
  const most = Math.max(20, 1.3 * Math.max(100 * estimate.high, limits.stop_above ?? 0, ...Object.values(DATA.domains).map((one) => one.high ?? 0)));
  const header = document.getElementById("top");
  const judged = decision !== "NO_VERDICT";
  header.append(
    make("h1", { class: decision }, decision.replace("_", " ")),
    make("p", {}, make("strong", {}, DATA.recommendation)),
    make("ul", {}, ...DATA.reasons.map((reason) => make("li", {}, reason))),
    make("p", {}, DATA.headline),
  );
  if (judged) {
    header.append(intervalBar(100 * estimate.rate, 100 * estimate.low, 100 * estimate.high, most, limits,
      `${percent(estimate.rate)} of low quality, from ${percent(estimate.low)} to ${percent(estimate.high)}`),
    make("p", { class: "soft" }, `Of low quality, 0 to ${most.toFixed(0)} %. The line is the interval. Dashed: PROCEED below ${limits.proceed_below} %, STOP above ${limits.stop_above} %.`));
  }
  header.append(make("div", { class: "first" }, domains(most, limits), make("div", {}, power(), next())));
  if (DATA.rows.length) header.append(make("p", {}, make("a", { href: "#review" }, `Review ${DATA.rows.length} utterances`)));
}

function domains(most, limits) {
  const table = make("table", {}, make("tr", {}, ...["Domain", "Sampled", "Low quality", "As a bar"].map((name) => make("th", { scope: "col" }, name))));
  for (const [name, one] of Object.entries(DATA.domains)) {
    const untold = one.low_quality_pct === null;
    const said = untold ? `cannot tell: ${one.cannot_tell ?? "not judged"}` : `${one.low_quality_pct.toFixed(1)} % (${one.low.toFixed(1)}–${one.high.toFixed(1)})`;
    table.append(make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, name)), make("td", {}, `${one.count} of ${one.population}`), make("td", {}, said),
      make("td", {}, untold ? "" : intervalBar(one.low_quality_pct, one.low, one.high, most, limits, `${name}: ${said}`))));
  }
  return make("section", { class: "scroll", tabindex: 0, "aria-label": "Domains" }, make("h2", {}, "Domains"), table);
}

function power() {
  const section = make("section", {}, make("h2", {}, "What this audit can detect"));
  const kinds = Object.entries(DATA.controls);
  if (!kinds.length) {
    section.append(make("p", {}, "Nothing was planted: how much this audit finds is not known."));
    return section;
  }
  const table = make("table", {}, make("tr", {}, ...["Planted defect", "Found", "Power", "As a bar"].map((name) => make("th", { scope: "col" }, name))));
  for (const [name, one] of kinds) {
    const said = `${percent(one.power, 0)} (${percent(one.low, 0)}–${percent(one.high, 0)})`;
    table.append(make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, `${one.detected} of ${one.n}`),
      make("td", {}, said + (one.underpowered ? ": too weak, not counted" : "")),
      make("td", {}, intervalBar(100 * one.power, 100 * one.low, 100 * one.high, 100, {}, `${name}: ${said}`))));
  }
  section.append(table);
  return section;
}

function next() {
  return make("section", {}, make("h2", {}, "What to do next"),
    ...DATA.next.map(([command, what]) => make("div", {}, what, make("pre", { tabindex: 0, "aria-label": what }, command))));
}

function numbers() {
  const section = document.getElementById("numbers");
  const plots = make("div", { class: "plots" });
  const rules = Object.entries(DATA.rules).filter(([, rule]) => rule.rows);
  if (rules.length) plots.append(plot("Findings by rule", rules.map(([code, rule]) => `${code} ${rule.name}`), rules.map(([, rule]) => rule.rows), "utterances"));
  const found = {};
  for (const row of DATA.rows) found[row.domain] = (found[row.domain] ?? 0) + 1;
  if (Object.keys(found).length) plots.append(plot("Utterances with findings by domain", Object.keys(found), Object.values(found), "utterances"));
  for (const { name, counts, edges } of DATA.histograms) plots.append(plot(name, counts.map((_, index) => `${edges[index]}–${edges[index + 1]}`), counts, "utterances"));
  section.append(plots);
  const copies = DATA.rows.filter((row) => ["leak", "copy"].includes(row.cause));
  section.append(make("details", {}, make("summary", {}, `Leaks and duplicates: ${copies.length} rows`),
    make("ul", {}, ...copies.map((row) => make("li", {}, make("bdi", {}, row.id), `: ${row.findings[0][2]}`)))));
  if (DATA.skipped.length) section.append(make("details", {}, make("summary", {}, `Skipped: ${DATA.skipped.length} rows`),
    make("ul", {}, ...DATA.skipped.map((row) => make("li", {}, make("bdi", {}, row.origin), ": ", make("bdi", {}, row.reason))))));
  section.append(make("details", {}, make("summary", {}, "What was audited"),
    make("dl", {}, ...Object.entries(DATA.about).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
      make("dt", {}, "digest"), make("dd", {}, make("code", {}, DATA.digest)))));
}

function reviewing() {
  const review = new Review(DATA.digest, DATA.server || null, (id, problem) => {
    list.refresh(id);
    count.textContent = `${review.count()} verdicts`;
    if (problem) utterance.say(problem);
  });
  const utterance = new Utterance(document.getElementById("utterance"), DATA.sounds, review);
  document.getElementById("utterance").tabIndex = -1;
  const who = make("input", { id: "who", autocomplete: "name", value: review.who, onchange: () => review.setWho(who.value) });
  const count = make("span", { role: "status", class: "soft" }, `${review.count()} verdicts`);
  const save = () => {
    const link = make("a", { href: URL.createObjectURL(new Blob([review.lines()], { type: "application/x-ndjson" })), download: "review.jsonl" });
    link.click();
    utterance.say("Exported review.jsonl.");
  };
  const filters = document.getElementById("filters");
  const list = new List(DATA.rows, document.getElementById("list"), filters, (row) => utterance.show(row), (id) => review.of(id));
  filters.append(make("label", {}, "Your name", who), count);
  if (!DATA.server) filters.append(make("button", { type: "button", id: "export", onclick: save }, "Export verdicts"));
  filters.append(make("button", { type: "button", onclick: () => help() }, "Keys (?)"));
  if (DATA.hidden) document.getElementById("review-title").after(make("p", {}, `The worst ${DATA.rows.length} rows; asr findings lists the other ${DATA.hidden}.`));
  keys(list, utterance, save);
}

function help() {
  const dialog = document.getElementById("help");
  dialog.replaceChildren(make("h2", { id: "help-title" }, "Keys"),
    make("table", {}, ...KEYS.map(([key, what]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, what)))),
    make("button", { type: "button", onclick: () => dialog.close() }, "Close"));
  dialog.showModal();
}

function keys(list, utterance, save) {
  const acts = {
    " ": () => utterance.toggle(), j: () => list.move(1), k: () => list.move(-1),
    ArrowLeft: () => utterance.seek(utterance.audio.currentTime - 0.5), ArrowRight: () => utterance.seek(utterance.audio.currentTime + 0.5),
    f: () => utterance.jump(), l: () => utterance.toggleLoop(), s: () => utterance.nextSpeed(),
    "[": () => utterance.mark(0), "]": () => utterance.mark(1),
    u: () => utterance.undo(), m: () => utterance.note.focus(), x: () => DATA.server || save(), "?": () => help(),
    ...Object.fromEntries(VERDICTS.map(([name, , key]) => [key, () => utterance.decide(name)])),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea") || document.getElementById("help").open;
    if (event.key === "Escape" && event.target.matches("input")) event.target.blur();
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.matches("button, a, summary")) return;
    const act = acts[event.key];
    if (!act || (!utterance.row && event.key !== "?" && event.key !== "x")) return;
    event.preventDefault();
    act();
  });
}

function blind() {
  document.getElementById("top").append(make("h1", {}, "Blind sample"),
    make("p", {}, `${DATA.rows.length} rows in random order, some of which the audit excludes. What it found is not shown, so that your verdicts measure it. Judge each row as you hear it; say unsure where you cannot tell.`));
  document.getElementById("numbers").remove();
}

if (DATA.blind) blind();
else {
  top();
  numbers();
}
reviewing();
