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
  const table = make("table", {}, make("tr", {}, make("th", {}, title), make("th", { class: "number" }, unit)));
  labels.forEach((label, index) => {
    if (counts[index]) table.append(make("tr", {}, make("td", {}, label), make("td", { class: "number" }, String(counts[index]))));
  });
  box.append(make("details", { class: "scroll" }, make("summary", {}, "as a table"), table));
  const seen = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    seen.disconnect();
    const ink = colour("--ink");
    new Chart(canvas, {
      type: "bar",
      data: { labels: names, datasets: [{ data: counts, backgroundColor: colour("--link"), categoryPercentage: 1, barPercentage: 0.95 }] },
      options: {
        animation: false, responsive: true, maintainAspectRatio: false, indexAxis: onPick ? "y" : "x",
        plugins: { legend: { display: false }, tooltip: { callbacks: { title: ([bar]) => labels[bar.dataIndex] } } },
        scales: {
          [onPick ? "y" : "x"]: { ticks: { color: ink, maxRotation: 0, autoSkip: !onPick, autoSkipPadding: 12 }, grid: { display: false } },
          [onPick ? "x" : "y"]: { ticks: { color: ink, precision: 0 }, grid: { color: colour("--line") } },
        },
        onClick: (_, [bar]) => bar && onPick?.(bar.index),
        onHover: (_, bars) => { canvas.style.cursor = onPick && bars.length ? "pointer" : ""; },
      },
    });
  });
  seen.observe(canvas);
  return box;
}
