/* Puts the page together. */

const DATA = JSON.parse(document.getElementById("data").textContent);
const DETAILS = document.getElementById("details").textContent.split("\n");
DATA.rows.forEach((row, index) => { row.index = index; });
const KEYS = [
  ["Space", "play or pause"], ["j", "next utterance; in the list also ↓"], ["k", "utterance before; in the list also ↑"],
  ["n", "next utterance without a verdict"], ["/", "search"],
  ["← →", "half a second back or on; with Shift a twentieth"], ["f", "jump to the flagged span"],
  ["l", "play the flagged span again and again, or the marked one"], ["s", "speed"], ["[ ]", "mark where a trim begins and ends"],
  ...VERDICTS.map(([, title, key, what]) => [key, `${title}: ${what}`]),
  ["p", "correct the text, beginning with the proposed one"], ["m", "note"], ["u", "undo the verdict"],
  ...(DATA.server ? [] : [["x", "export the verdicts"]]), ["?", "this help"],
];
let list = null;

function top() {
  const { estimate, limits, decision } = DATA;
  const highs = Object.values(DATA.domains).map((one) => one.high ?? 0);
  const most = Math.min(100, Math.max(20, 1.3 * Math.max(100 * estimate.high, limits.stop_above ?? 0, ...highs)));
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
      `${percent(estimate.rate)} of low quality, from ${percent(estimate.low)} to ${percent(estimate.high)}`), ticks(most, limits),
    make("p", { class: "soft" }, `The square is the estimate, the line its interval. PROCEED is below ${limits.proceed_below} %, STOP above ${limits.stop_above} %.`));
  }
  if (DATA.rows.length) header.append(make("p", {}, make("a", { href: "#review" }, `Listen to the ${many(DATA.rows.length, "utterance")} with findings`)));
  header.append(make("div", { class: "first" },
    make("div", {}, shareTable("Domains", "Domain", DATA.domains, most, limits),
      Object.keys(DATA.splits).length ? shareTable("Splits", "Split", DATA.splits, most, limits) : null, next()),
    make("div", {}, DATA.review ? people(DATA.review) : null, power())));
}

function many(count, what) {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}

function table(heads, rows) {
  return make("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": heads[0] },
    make("table", {}, make("tr", {}, ...heads.map((name) => make("th", { scope: "col" }, name))), ...rows));
}

function shareTable(title, head, statistics, most, limits) {
  const length = (hours) => (hours < 1 ? `${(60 * hours).toFixed(1)} min` : `${hours.toFixed(1)} h`);
  const timed = Object.values(statistics).some((one) => one.hours !== undefined);
  const rows = Object.entries(statistics).map(([name, one]) => {
    const untold = one.low_quality_pct === null;
    const said = untold ? `cannot tell: ${one.cannot_tell ?? "not judged"}` : `${one.low_quality_pct.toFixed(1)} % (${one.low.toFixed(1)}–${one.high.toFixed(1)})`;
    return make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, name || "(none)")), make("td", {}, `${one.count} of ${one.population}`),
      timed ? make("td", { class: "figure" }, length(one.hours)) : null, make("td", { class: untold ? "" : "figure" }, said),
      make("td", {}, untold ? "" : intervalBar(one.low_quality_pct, one.low, one.high, most, limits, `${name}: ${said}`)));
  });
  return make("section", {}, make("h2", {}, title), table([head, "Sampled", ...(timed ? ["Length"] : []), "Low quality", "As a bar"], rows));
}

function power() {
  const section = make("section", {}, make("h2", {}, "What this audit can detect"));
  const kinds = Object.entries(DATA.controls);
  if (!kinds.length) {
    section.append(make("p", {}, "Nothing was planted: how much this audit finds is not known."));
    return section;
  }
  section.append(table(["Planted defect", "Found", "Power", "As a bar"], kinds.map(([name, one]) => {
    const said = `${percent(one.power, 0)} (${percent(one.low, 0)}–${percent(one.high, 0)})`;
    return make("tr", {}, make("th", { scope: "row" }, name), make("td", { class: "figure" }, `${one.detected} of ${one.n}`),
      make("td", {}, make("span", { class: "figure" }, said), one.underpowered ? ": too weak, not counted" : ""),
      make("td", {}, intervalBar(100 * one.power, 100 * one.low, 100 * one.high, 100, {}, `${name}: ${said}`)));
  })));
  return section;
}

/* What verdicts that were put into the report say of the corpus and of the audit. */
function people(review) {
  const counts = Object.entries(review.counts).map(([word, rows]) => `${word.replace("_", " ")} ${rows}`).join(", ");
  const who = review.reviewers.filter(Boolean).join(", ");
  const section = make("section", {}, make("h2", {}, "What people said"),
    make("p", {}, who ? "Rows judged by " : "Rows judged", make("bdi", {}, who), `: ${counts}. Not excluded, since people call them right: ${review.right}. Excluded, since they call them wrong: ${review.wrong}.`),
    review.conflicts ? make("p", {}, `They disagree on ${many(review.conflicts, "row")}.`) : null,
    make("p", {}, review.decides ? `Their estimate decides; the audit alone said ${review.decision.replace("_", " ")}.` : "The decision is the audit's."));
  const shares = [["wrong rows in the corpus", review.estimate], ["wrong among the excluded (precision)", review.precision],
    ["excluded among the wrong (recall)", review.recall], ["wrong among the rest", review.missed],
    ...Object.entries(review.domains).map(([name, one]) => [`wrong in ${name}`, one])].filter(([, one]) => one);
  if (!shares.length) section.append(make("p", { class: "soft" }, "Nothing is estimated from them: that needs a blind sample (asr review --sample)."));
  else section.append(table(["Share", "By the blind sample", "As a bar"], shares.map(([name, one]) => {
    const said = `${percent(one.rate)} (${percent(one.low)}–${percent(one.high)})`;
    return make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, name)), make("td", { class: "figure" }, said),
      make("td", {}, intervalBar(100 * one.rate, 100 * one.low, 100 * one.high, 100, {}, `${name}: ${said}`)));
  })));
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
  if (rules.length) plots.append(plot("Findings by rule", rules.map(([code, rule]) => `${code} ${rule.name}`), rules.map(([, rule]) => rule.rows), "utterances",
    undefined, (index) => list.pick("rule", rules[index][0])));
  const found = {};
  for (const row of DATA.rows) found[row.domain] = (found[row.domain] ?? 0) + 1;
  const domains = Object.keys(found);
  if (domains.length) plots.append(plot("Utterances with findings by domain", domains, Object.values(found), "utterances", undefined, (index) => list.pick("domain", domains[index])));
  if (DATA.pairing) {
    const { points, found, rows } = DATA.pairing;
    section.append(make("p", {}, `${many(found, "row")} ${found === 1 ? "says" : "say"} the text of another row${points.length < found ? `; ${points.length} of them are drawn` : ""}.`));
    if (points.length) plots.append(pairingPlot(points, rows, (id) => list.pick("text", id)));
  }
  for (const { name, counts, edges } of DATA.histograms) {
    const short = edges.map((edge) => String(Number(edge.toPrecision(3))));
    plots.append(plot(name, counts.map((_, index) => `${short[index]} to ${short[index + 1]}`), counts, "utterances", short.slice(0, -1)));
  }
  section.append(plots);
  if (rules.length) section.append(make("details", {}, make("summary", {}, "What the rules find, and what to do"),
    table(["Rule", "Utterances", "What it finds", "What to do"], rules.map(([code, rule]) => make("tr", {},
      make("th", { scope: "row" }, `${code} ${rule.name}`), make("td", { class: "number" }, String(rule.rows)), make("td", {}, rule.summary), make("td", {}, rule.fix))))));
  const copies = DATA.rows.filter((row) => ["leak", "copy"].includes(row.cause));
  section.append(make("details", {}, make("summary", {}, `Leaks and duplicates: ${many(copies.length, "row")}`),
    make("ul", {}, ...copies.map((row) => make("li", {},
      make("button", { type: "button", class: "link", onclick: () => list.pick("text", row.id) }, make("bdi", {}, row.id)), ": ", make("bdi", {}, row.findings[0][2]))))));
  if (DATA.skipped.length) section.append(make("details", {}, make("summary", {}, `Skipped: ${many(DATA.skipped.length, "row")}`),
    make("ul", {}, ...DATA.skipped.map((row) => make("li", {}, make("bdi", {}, row.origin), ": ", make("bdi", {}, row.reason))))));
  section.append(make("details", {}, make("summary", {}, "What was audited"),
    make("dl", {}, ...Object.entries(DATA.about).flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
      make("dt", {}, "digest"), make("dd", {}, make("code", {}, DATA.digest)))));
}

function reviewing() {
  const review = new Review(DATA.digest, DATA.server || null, (id) => {
    list.refresh(id);
    count.textContent = many(review.count(), "verdict");
  });
  const box = document.getElementById("list");
  const utterance = new Utterance(document.getElementById("utterance"), DATA.sounds, review, box);
  const who = make("input", { id: "who", autocomplete: "name", value: review.who, onchange: () => { review.setWho(who.value); list.filter(); } });
  const count = make("span", { role: "status", class: "soft" }, many(review.count(), "verdict"));
  const exported = make("div", { role: "status" });
  const save = () => {
    if (!review.count()) return utterance.say("There are no verdicts to export yet.");
    const link = make("a", { href: URL.createObjectURL(new Blob([review.lines()], { type: "application/x-ndjson" })), download: "review.jsonl" });
    link.click();
    utterance.say("Exported review.jsonl.");
    return exported.replaceChildren(make("p", {}, `${many(review.count(), "verdict")} went into review.jsonl, where your browser keeps downloads. From there, a corrected copy of the corpus:`),
      make("pre", { tabindex: 0, "aria-label": "the command that corrects" }, DATA.correct));
  };
  const filters = document.getElementById("filters");
  list = new List(DATA.rows, box, filters, (row) => utterance.show(row && { ...row, ...JSON.parse(DETAILS[row.index]) }), review);
  filters.after(make("div", { class: "reviewer" }, make("label", {}, "Your name", who), count,
    DATA.server ? null : make("button", { type: "button", id: "export", onclick: save }, "Export verdicts (x)"),
    make("button", { type: "button", onclick: () => help() }, "Keys (?)")), exported);
  if (DATA.hidden) document.getElementById("review-title").after(make("p", {}, `The worst ${DATA.rows.length} rows; asr findings lists the other ${DATA.hidden}.`));
  keys(utterance, save);
}

function help() {
  const dialog = document.getElementById("help");
  dialog.replaceChildren(make("h2", { id: "help-title" }, "Keys"),
    make("table", {}, ...KEYS.map(([key, what]) => make("tr", {}, make("th", { scope: "row" }, make("kbd", {}, key)), make("td", {}, what)))),
    make("button", { type: "button", onclick: () => dialog.close() }, "Close"));
  dialog.showModal();
}

function keys(utterance, save) {
  const step = (event, way) => utterance.seek(utterance.audio.currentTime + way * (event.shiftKey ? 0.05 : 0.5));
  const acts = {
    " ": () => utterance.toggle(), j: () => list.move(1), k: () => list.move(-1),
    n: () => list.moveOn() || utterance.say("Every row that is listed has a verdict."),
    "/": () => list.fields.text.focus(),
    ArrowLeft: (event) => step(event, -1), ArrowRight: (event) => step(event, 1),
    f: () => utterance.jump(), l: () => utterance.toggleLoop(), s: () => utterance.nextSpeed(),
    "[": () => utterance.mark(0), "]": () => utterance.mark(1),
    p: () => utterance.takeProposal(), u: () => utterance.undo(), m: () => utterance.note.focus(), x: () => DATA.server || save(), "?": () => help(),
    ...Object.fromEntries(VERDICTS.map(([name, , key]) => [key, () => utterance.decide(name)])),
  };
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea") || document.getElementById("help").open;
    if (event.key === "Escape" && event.target.matches("input, select")) {
      event.preventDefault(); // it would empty the search
      list.show();
    }
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.matches("button, a, summary")) return;
    const act = acts[event.key];
    if (!act || (!utterance.row && !["?", "x", "/"].includes(event.key))) return;
    event.preventDefault();
    act(event);
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
