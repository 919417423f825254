"use strict";
// Curves of a training: smoothed, on a logarithmic scale, and read off under the pointer. Numbers of the run alone.

const curves = JSON.parse(document.getElementById("curves-data").textContent);
const figures = [...document.querySelectorAll("#curve-plots figure")];
const byId = (id) => document.getElementById(id);

function draw(tag, attributes, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.textContent = text;
  return element;
}

// An exponential moving average that begins without a bias towards 0.
function smoothed(points, weight) {
  let sum = 0, count = 0;
  return points.map(([step, value]) => {
    sum = weight * sum + (1 - weight) * value;
    count = weight * count + (1 - weight);
    return [step, sum / count];
  });
}

const short = (value) => Number(value.toPrecision(3)).toString().replace("-", "−");
const heights = ({ lines, dots }) => [...lines.flatMap(([, points]) => points.map(([, value]) => value)), ...dots.flatMap(([, ...values]) => values.filter((value) => value !== null))];

// What turns a value into a height; null where a logarithm cannot show any of them.
function scaleOf(curve, logarithmic) {
  const [low, high, start, end] = curve.y;
  const linear = { at: (value) => start + ((value - low) / (high - low)) * (end - start), ticks: curve.ticks };
  const positive = heights(curve).filter((value) => value > 0);
  if (!logarithmic || !positive.length) return linear;
  const bottom = Math.log10(Math.min(...positive)), top = Math.max(Math.log10(Math.max(...positive)), bottom + 0.1);
  const ticks = Array.from({ length: 4 }, (_, place) => 10 ** (bottom + (place / 3) * (top - bottom)));
  return { at: (value) => (value > 0 ? start + ((Math.log10(value) - bottom) / (top - bottom)) * (end - start) : null), ticks };
}

function path(points, scale, curve) {
  const [low, high, start, end] = curve.x;
  let begun = false;
  return points.map(([step, value]) => {
    const height = scale.at(value);
    if (height === null) { begun = false; return ""; }
    const mark = begun ? "L" : "M";
    begun = true;
    return `${mark}${(start + ((step - low) / (high - low)) * (end - start)).toFixed(1)} ${height.toFixed(1)}`;
  }).join("");
}

function show(figure, curve) {
  const drawing = figure.querySelector("svg");
  const weight = Number(byId("smoothing").value);
  const scale = scaleOf(curve, byId("logarithmic").checked);
  const [low, high, start, end] = curve.x;
  const across = (step) => start + ((step - low) / (high - low)) * (end - start);
  drawing.querySelectorAll(".grid, .line, .mark, .whisker, .raw, text[text-anchor=end]").forEach((old) => old.remove());
  for (const tick of scale.ticks) {
    const y = scale.at(tick);
    drawing.prepend(draw("line", { x1: start, x2: end, y1: y, y2: y, class: "grid" }));
    drawing.append(draw("text", { x: start - 6, y: y + 3.5, "text-anchor": "end" }, short(tick)));
  }
  curve.lines.forEach(([, points], place) => {
    if (weight) drawing.append(draw("path", { d: path(points, scale, curve), class: `line raw s${place % 6}` }));
    drawing.append(draw("path", { d: path(smoothed(points, weight), scale, curve), class: `line s${place % 6}` }));
  });
  for (const [step, mean, bottom, top] of curve.dots) {
    const [y, from, to] = [mean, bottom, top].map((value) => (value === null ? null : scale.at(value)));
    if (from !== null && to !== null) drawing.append(draw("path", { d: `M${across(step)} ${from}V${to}`, class: "whisker" }));
    if (y !== null) drawing.append(draw("circle", { cx: across(step), cy: y, r: 4, class: "mark" }));
  }
}

// The nearest step under the pointer, and every line's value there, smoothed as it is drawn.
function readOff(figure, curve, event) {
  const drawing = figure.querySelector("svg");
  const box = drawing.getBoundingClientRect();
  const [low, high, start, end] = curve.x;
  const step = low + ((((event.clientX - box.left) / box.width) * drawing.viewBox.baseVal.width - start) / (end - start)) * (high - low);
  const nearest = (points) => points.reduce((best, point) => (Math.abs(point[0] - step) < Math.abs(best[0] - step) ? point : best));
  const there = curve.lines.filter(([, points]) => points.length).map(([name, points]) => [name, nearest(smoothed(points, Number(byId("smoothing").value)))]);
  if (!there.length) return;
  const dot = curve.dots.length ? nearest(curve.dots) : null;
  const at = there[0][1][0];
  const words = there.map(([name, [, value]]) => (curve.lines.length > 1 ? `${name} ${short(value)}` : short(value)));
  if (dot && Math.abs(dot[0] - at) <= (high - low) / 40) words.push(`held out ${short(dot[1])}`);
  figure.querySelector("output").textContent = `step ${short(at)}: ${words.join(", ")}`;
}

function showAll() {
  figures.forEach((figure, place) => show(figure, curves[place]));
  byId("smoothing-value").textContent = byId("smoothing").value;
}

figures.forEach((figure, place) => {
  figure.append(Object.assign(document.createElement("output"), { className: "small soft" }));
  figure.addEventListener("pointermove", (event) => readOff(figure, curves[place], event));
  figure.addEventListener("pointerleave", () => { figure.querySelector("output").textContent = ""; });
});
byId("curve-controls").hidden = false;
byId("curve-controls").addEventListener("input", showAll);
