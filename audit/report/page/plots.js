"use strict";
/* Elements, bars and plots. Every string from the data goes in as text. */

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

function percent(share, digits = 1) {
  return `${(100 * share).toFixed(digits)} %`;
}

function svg(tag, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

/* An estimate with its interval, in percent, on an axis from 0 to `most`; limits as dashed lines. */
function intervalBar(rate, low, high, most, limits, said) {
  const bar = svg("svg", { class: "bar", viewBox: "0 0 100 22", preserveAspectRatio: "none", role: "img", "aria-label": said });
  const x = (value) => Math.min(100, (100 * value) / most);
  bar.append(svg("line", { class: "axis", x1: 0, x2: 100, y1: 11, y2: 11 }));
  for (const [name, value] of Object.entries(limits)) {
    if (value === null) continue;
    bar.append(svg("line", { class: `limit ${name}`, x1: x(value), x2: x(value), y1: 0, y2: 22, "vector-effect": "non-scaling-stroke" }));
  }
  bar.append(svg("line", { class: "interval", x1: x(low), x2: x(high), y1: 11, y2: 11, "vector-effect": "non-scaling-stroke" }));
  bar.append(svg("rect", { class: "point", x: x(rate) - 0.5, width: 1, y: 4, height: 14 }));
  return bar;
}

/* Figures under the bar, where they belong. */
function ticks(most, limits) {
  const row = make("div", { class: "ticks", "aria-hidden": "true" });
  const named = [[0, "0 %", ""], ...Object.entries(limits).filter(([, value]) => value !== null).map(([name, value]) => [value, `${value} %`, name]), [most, `${most.toFixed(0)} %`, ""]];
  for (const [value, text, name] of named) {
    const tick = make("span", { class: name }, text);
    tick.style.left = `${(100 * value) / most}%`;
    row.append(tick);
  }
  return row;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/* A bar chart, drawn when it comes into view, with its numbers as a table behind it.
   `names` are what stands at the axis; with `onPick` the bars lie, and lead to their rows. */
function plot(title, labels, counts, unit, names = labels, onPick = null) {
  const canvas = make("canvas", { role: "img", "aria-label": `${title}; the numbers are in the table below` });
  const place = make("div", { class: "plot" }, canvas);
  const box = make("figure", {}, make("figcaption", {}, title, onPick ? make("span", { class: "soft" }, " (a bar leads to its rows)") : null), place);
  if (onPick) box.classList.add("lying");
  if (onPick && labels.length > 8) {
    place.style.height = `${1.4 * labels.length + 2}rem`;
    box.classList.add("tall");
  }
  const rows = labels.flatMap((label, index) => (counts[index] ? [[label, counts[index]]] : []));
  box.append(asTable([title, unit], rows));
  whenSeen(canvas, () => ({
    type: "bar",
    data: { labels: names, datasets: [{ data: counts, backgroundColor: colour("--link"), categoryPercentage: 1, barPercentage: 0.95 }] },
    options: {
      ...STILL, indexAxis: onPick ? "y" : "x",
      plugins: { legend: { display: false }, tooltip: { callbacks: { title: ([bar]) => labels[bar.dataIndex] } } },
      scales: {
        [onPick ? "y" : "x"]: { ticks: { color: colour("--ink"), maxRotation: 0, autoSkip: !onPick, autoSkipPadding: 12 }, grid: { display: false } },
        [onPick ? "x" : "y"]: { ticks: { color: colour("--ink"), precision: 0 }, grid: { color: colour("--line") } },
      },
      onClick: (_, [bar]) => bar && onPick?.(bar.index),
      onHover: (_, bars) => { canvas.style.cursor = onPick && bars.length ? "pointer" : ""; },
    },
  }));
  return box;
}

/* Numbers of rows against those of the rows whose text they say; the line is where each row has its
   own. `points` are [row, row of the text, id, id of the row of the text]. */
function pairingPlot(points, rows, onPick) {
  const title = "Whose text is said";
  const said = "row number, and number of the row whose text it says; on the line a row has its own";
  const canvas = make("canvas", { role: "img", "aria-label": `${title}: ${said}; the rows are in the table below` });
  const box = make("figure", { class: "tall" }, make("figcaption", {}, title, make("span", { class: "soft" }, ` (${said})`)), make("div", { class: "plot square" }, canvas));
  box.append(asTable(["Row", "says the text of"], points.map(([, , id, other]) => [id, other])));
  const axis = (text) => ({ type: "linear", min: 1, max: Math.max(2, rows), title: { display: true, text, color: colour("--ink") }, ticks: { color: colour("--ink"), precision: 0 }, grid: { color: colour("--line") } });
  whenSeen(canvas, () => ({
    type: "scatter",
    data: { datasets: [
      { data: points.map(([x, y]) => ({ x, y })), backgroundColor: colour("--stop"), pointRadius: 3 },
      { data: [{ x: 1, y: 1 }, { x: rows, y: rows }], type: "line", borderColor: colour("--soft"), borderWidth: 1, pointRadius: 0, pointHitRadius: 0 },
    ] },
    options: {
      ...STILL,
      plugins: { legend: { display: false }, tooltip: { callbacks: { label: ({ dataIndex }) => `${points[dataIndex][2]} says the text of ${points[dataIndex][3]}` } } },
      scales: { x: axis("row"), y: axis("row with the text that is said") },
      onClick: (_, [point]) => point && point.datasetIndex === 0 && onPick(points[point.index][2]),
    },
  }));
  return box;
}

const STILL = { animation: false, responsive: true, maintainAspectRatio: false };

function whenSeen(canvas, chart) {
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    new Chart(canvas, chart());
  });
  seen.observe(canvas);
}

/* What a plot shows, for those who do not see it; numbers stand at the end of their cells. */
function asTable(heads, rows) {
  const cell = (tag, value) => make(tag, { class: typeof value === "number" ? "number" : "" }, make("bdi", {}, String(value)));
  const kinds = rows.length ? rows[0] : heads;
  const first = make("tr", {}, ...heads.map((head, index) => make("th", { class: typeof kinds[index] === "number" ? "number" : "" }, head)));
  return make("details", { class: "scroll" }, make("summary", {}, "as a table"), make("table", {}, first, ...rows.map((row) => make("tr", {}, ...row.map((value) => cell("td", value))))));
}
