"use strict";
// The gallery: filters, sorts and pages the samples. Whatever comes from the run is set as text, never as HTML.

performance.mark("start");
const CARDS = 24;
const run = JSON.parse(document.getElementById("run-data").textContent);
const rows = run.rows;
const judges = run.judges.map((_, judge) => judge);
const byId = (id) => document.getElementById(id);

function make(tag, properties, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// Details: those in the page, and those of a file beside it, which is loaded when one of its samples is shown.

const gallery = {
  waiting: new Map(),
  files: new Map(),
  receive(number, details) { gallery.files.set(number, details); },
};
const places = new Map();
rows.id.forEach((_, row) => { if (!(row in run.details)) places.set(row, places.size); });

function load(number) {
  if (!gallery.waiting.has(number)) {
    gallery.waiting.set(number, new Promise((resolve) => {
      const done = () => resolve(gallery.files.get(number));
      document.head.append(make("script", { src: `${run.beside}/${number}.js`, onload: done, onerror: done }));
    }));
  }
  return gallery.waiting.get(number);
}

async function detailsOf(row) {
  if (row in run.details) return run.details[row];
  const place = places.get(row);
  const chunk = await load(Math.floor(place / run.chunk));
  return chunk && chunk[place % run.chunk];
}

// What matches, in which order.

const state = { judge: 0, matching: [], page: 0, open: 0 };

function wanted() {
  const number = (id) => (byId(id).value === "" ? null : Number(byId(id).value));
  return {
    judge: Number(byId("judge").value), category: number("category"), outcome: byId("outcome").value,
    from: number("from"), to: number("to"), defect: byId("defect").value,
    words: byId("words").value.trim().toLowerCase(), order: byId("order").value,
  };
}

function unscored(row, judge) {
  const words = run.outcomes[rows.outcomes[judge][row]];
  return words.startsWith("unscored") || words === "not judged yet";
}

function matches(row, { judge, category, outcome, from, to, defect, words }) {
  if (category !== null && rows.category[row] !== category) return false;
  if (outcome === "unscored" && !unscored(row, judge)) return false;
  if (outcome === "by any" && !judges.some((other) => unscored(row, other))) return false;
  if (/^\d/.test(outcome) && rows.outcomes[judge][row] !== Number(outcome)) return false;
  const score = rows.scores[judge][row];
  if ((from !== null || to !== null) && score === null) return false;
  if ((from !== null && score < from) || (to !== null && score > to)) return false;
  if (defect === "none" && rows.defects[row].length) return false;
  if (defect === "some" && !rows.defects[row].length) return false;
  if (/^\d/.test(defect) && !rows.defects[row].includes(Number(defect))) return false;
  return !words || rows.prompt[row].toLowerCase().includes(words);
}

function sorted(matching, { order, judge }) {
  if (order === "run") return matching;
  const changed = order === "gained" || order === "lost";
  const keys = order === "disagreement" ? rows.disagreement : changed ? rows.changed[judge] : rows.scores[judge];
  const sign = order === "lowest" || order === "lost" ? 1 : -1;
  const there = matching.filter((row) => keys[row] !== null);
  // Array.sort is stable: equal scores stay as in the run. What has no score comes last.
  return [...there.sort((a, b) => sign * (keys[a] - keys[b])), ...matching.filter((row) => keys[row] === null)];
}

function update() {
  const asked = wanted();
  const all = rows.id.map((_, row) => row);
  state.judge = asked.judge;
  state.matching = sorted(all.filter((row) => matches(row, asked)), asked);
  turn(0);
}

function turn(page) {
  const pages = Math.max(Math.ceil(state.matching.length / CARDS), 1);
  state.page = Math.min(Math.max(page, 0), pages - 1);
  const shown = state.matching.slice(state.page * CARDS, (state.page + 1) * CARDS);
  byId("cards").replaceChildren(...shown.map(card));
  byId("count").textContent = `${state.matching.length} of ${rows.id.length} samples match`;
  byId("page").textContent = `${state.page + 1} of ${pages}`;
  byId("pager").hidden = pages === 1;
  byId("previous").disabled = state.page === 0;
  byId("next").disabled = state.page === pages - 1;
}

// One sample as a card, and as a whole.

const factor = (judge) => run.judges[judge].factor.replaceAll("_", " ");

function headline(row, judge) {
  const score = rows.scores[judge][row];
  const words = run.outcomes[rows.outcomes[judge][row]];
  const kind = score !== null ? "" : unscored(row, judge) ? "warn" : "soft";
  return make("dd", { className: kind, textContent: score !== null ? score.toFixed(3) : words });
}

const applies = (row, judge) => run.outcomes[rows.outcomes[judge][row]] !== "not applicable";

function scoreList(row) {
  const list = make("dl", { className: "values" });
  for (const judge of judges.filter((judge) => judge === state.judge || applies(row, judge))) {
    list.append(make("div", { className: judge === state.judge ? "chosen" : "" },
      make("dt", { textContent: factor(judge) }), headline(row, judge)));
  }
  return list;
}

function card(row) {
  const prompt = make("button", { type: "button", textContent: rows.prompt[row], onclick: () => open(row) });
  const place = make("div", { className: "place", onclick: () => open(row) }, make("div", { className: "view square" }));
  const facts = [run.categories[rows.category[row]], rows.reason[row] && `chosen: ${rows.reason[row]}`];
  detailsOf(row).then((details) => place.replaceChildren(
    ...(details && !details.picture && details.planned.length ? [plan(details), standIn(details)] : [view(details)])));
  return make("article", {}, place, make("h3", {}, prompt),
    make("p", { className: "soft", textContent: facts.filter(Boolean).join(" · ") }), scoreList(row));
}

// A plan in place of a picture says so.
const standIn = ({ fault }) => make("p", { className: "stand-in", textContent: `the plan; ${fault}` });

function drawing(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const colour = (place) => (place === null ? "" : `c${place % run.colours}`);

function frames(boxes, kind) {
  const group = drawing("g", { class: kind });
  for (const [, x, y, width, height, place] of boxes) {
    group.append(drawing("rect", { x, y, width, height, class: "halo" }),
      drawing("rect", { x, y, width, height, class: colour(place) }));
  }
  return group;
}

// Planned boxes are named in their upper left corner, found ones in the lower one.
function labels(boxes, kind) {
  return boxes.map(([name, x, y, , height, place]) => {
    const label = make("span", { className: `label ${kind} ${colour(place)}`, textContent: name });
    const edge = kind === "planned" ? { top: `${Math.min(y, 94)}%` } : { bottom: `${Math.min(100 - y - height, 94)}%` };
    Object.assign(label.style, { left: `${Math.min(x, 85)}%`, ...edge });
    return label;
  });
}

function overlay(planned, found) {
  const picture = drawing("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" });
  picture.append(frames(planned, "planned"), frames(found, "found"));
  return [picture, ...labels(planned, "planned"), ...labels(found, "found")];
}

// Which judge's boxes are shown: the chosen one's, or those of the first that looked for the planned objects.
function finder(details) {
  if (details.found[state.judge]) return state.judge;
  const judges = Object.keys(details.found);
  return judges.find((judge) => details.found[judge].some(([, , , , , place]) => place !== null)) ?? judges[0];
}

function view(details) {
  if (!details) return make("p", { className: "view square missing", textContent: `not in this file, and the folder ${run.beside} is not beside it` });
  if (!details.picture) return make("p", { className: "view square missing", textContent: details.fault });
  const image = make("img", { src: details.picture, alt: `Picture for: ${details.prompt}`, className: details.sharp ? "sharp" : "" });
  return make("div", { className: "view" }, image, ...overlay(details.planned, details.found[finder(details)] ?? []));
}

function plan(details) {
  const canvas = make("div", { className: "view square plan", role: "img" }, ...overlay(details.planned, []));
  canvas.setAttribute("aria-label", `Plan: ${details.planned.map(([name]) => name).join(", ")}`);
  return canvas;
}

function chain(details) {
  const text = make("p", { className: "chain" });
  for (const [words, place, fault] of details.chain) {
    if (place === null) { text.append(words); continue; }
    text.append(make("mark", { className: colour(place), textContent: words }));
    if (fault) text.append(make("span", { className: "warn", textContent: ` (${fault})` }));
  }
  return text;
}

// A checklist's questions, each with its answer.
function questionList(questions) {
  return make("ul", { className: "questions" }, ...questions.map(([text, tag, said, counted]) =>
    make("li", { className: counted === null ? "open" : counted < 0.5 ? "denied" : "" },
      make("b", { textContent: said }), ` ${text} `, ...(tag ? [make("small", { className: "soft", textContent: tag })] : []))));
}

// The score in the run before, and how far this one's is from it.
function scoreBefore(details, row, judge) {
  const said = details.before?.said[judge];
  if (!said) return [];
  const change = rows.changed[judge][row];
  const by = change === null ? "" : `, ${change > 0 ? "+" : change < 0 ? "−" : "±"}${Math.abs(change).toFixed(3)} since`;
  return [make("div", {}, make("dt", { textContent: `in ${run.before}` }), make("dd", { textContent: `${said}${by}` }))];
}

function verdict(details, row, judge) {
  const { parts, questions, note, replies } = details.verdicts[judge];
  const section = make("section", { className: "verdict" },
    make("h4", {}, factor(judge), make("code", { textContent: run.judges[judge].name })),
    make("dl", { className: "values" }, make("div", { className: "chosen" }, make("dt", { textContent: "score" }), headline(row, judge)),
      ...scoreBefore(details, row, judge), ...parts.map(([name, value]) => make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: Number(value.toPrecision(4)) })))));
  if (questions.length) section.append(questionList(questions));
  if (note) section.append(make("p", { className: "soft", textContent: note }));
  for (const [model, finish, text, choices] of replies) {
    section.append(make("details", {}, make("summary", { textContent: `Reply of ${model}${finish ? ` (${finish})` : ""}` }), make("pre", { textContent: text })));
    if (choices.length) section.append(make("p", { className: "soft", textContent: `Probabilities of the choices: ${choices.map((log) => Math.exp(log).toPrecision(3)).join(", ")}` }));
  }
  return section;
}

async function open(row) {
  state.open = state.matching.indexOf(row);
  history.replaceState(null, "", `#sample=${encodeURIComponent(rows.id[row])}`);
  byId("sample-previous").disabled = state.open <= 0;
  byId("sample-next").disabled = state.open >= state.matching.length - 1;
  byId("sample-id").textContent = rows.id[row];
  byId("sample-prompt").textContent = rows.prompt[row];
  byId("sample-text").replaceChildren();
  byId("sample-plan").replaceChildren();
  if (!byId("sample").open) byId("sample").showModal();
  const details = await detailsOf(row);
  byId("sample-picture").replaceChildren(view(details));
  byId("sample-before").replaceChildren(...(details?.before ? [sideName(run.before), view(details.before)] : []));
  if (details?.before) byId("sample-picture").prepend(sideName("this run"));
  document.querySelectorAll("#sample-picture .view, #sample-before .view").forEach((shown) => shown.addEventListener("click", zoom));
  if (!details) return;
  if (finder(details)) byId("sample-picture").append(make("p", { className: "soft small", textContent: `Found by ${run.judges[finder(details)].name}` }));
  byId("sample-prompt").textContent = details.prompt;
  if (details.planned.length) byId("sample-plan").replaceChildren(make("h4", { textContent: "Plan" }), plan(details));
  byId("sample-text").replaceChildren(...(details.chain.length ? [make("h4", { textContent: "Chain" }), chain(details)] : []),
    ...(rows.defects[row].length ? [make("p", { className: "warn", textContent: `Chain: ${rows.defects[row].map((number) => run.defects[number]).join(", ")}` })] : []),
    ...judges.filter((judge) => applies(row, judge)).map((judge) => verdict(details, row, judge)), ...others(details, row), facts(details));
}

const sideName = (name) => make("p", { className: "small side-name", textContent: name });

function zoom() {
  byId("sample-zoom").setAttribute("aria-pressed", String(byId("sample").classList.toggle("zoomed")));
}

// Judges that have nothing to say of this prompt take a line each and no more.
function others(details, row) {
  const lines = judges.filter((judge) => !applies(row, judge)).map((judge) => make("p", { className: "soft small",
    textContent: `${factor(judge)} is not applicable: ${details.verdicts[judge].note || "nothing to judge"}` }));
  return lines.length ? [make("section", { className: "verdict" }, ...lines)] : [];
}

function facts({ facts: known }) {
  const words = Object.entries(known).filter(([, value]) => value !== null).map(([name, value]) => `${name} ${value}`);
  return make("p", { className: "soft facts", textContent: words.join(" · ") });
}

// A link to a sample: #sample=<its id>.
function openLinked() {
  const name = location.hash.startsWith("#sample=") ? decodeURIComponent(location.hash.slice(8)) : null;
  const row = name === null ? -1 : rows.id.indexOf(name);
  if (row >= 0) open(row);
}

// Tables as files: what is shown, and nothing else.
const cell = (value) => {
  const text = value === null || value === undefined ? "" : String(value);
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;  // no formula for a spreadsheet
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

function save(name, lines) {
  const url = URL.createObjectURL(new Blob([lines.map((line) => line.map(cell).join(",")).join("\r\n")], { type: "text/csv" }));
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function saveSamples() {
  const head = ["sample", "category", "prompt", ...judges.flatMap((judge) => [run.judges[judge].name, `${run.judges[judge].name} outcome`]),
    ...rows.changed.map((_, judge) => `${run.judges[judge].name} minus ${run.before}`)];
  const line = (row) => [rows.id[row], run.categories[rows.category[row]], rows.prompt[row],
    ...judges.flatMap((judge) => [rows.scores[judge][row], run.outcomes[rows.outcomes[judge][row]]]), ...rows.changed.map((changes) => changes[row])];
  save("samples.csv", [head, ...state.matching.map(line)]);
}

function step(by) {
  const row = state.matching[state.open + by];
  if (row !== undefined) open(row);
}

// Controls.

function fill(select, options) {
  for (const [value, words] of options) select.append(make("option", { value, textContent: words }));
}

function start() {
  const used = new Set(rows.outcomes.flat());
  fill(byId("judge"), judges.map((judge) => [judge, factor(judge)]));
  [...byId("judge").options].forEach((option, judge) => { option.defaultSelected = run.judges[judge].factor === "total"; });
  fill(byId("category"), run.categories.map((name, number) => [number, name]));
  fill(byId("outcome"), [["unscored", "unscored"], ["by any", "unscored by any judge"],
    ...run.outcomes.map((words, number) => [number, words]).filter(([number]) => used.has(number))]);
  fill(byId("defect"), [["none", "no defect"], ["some", "any defect"], ...run.defects.map((name, number) => [number, name])]);
  const controls = byId("controls");
  controls.hidden = false;
  controls.addEventListener("input", (event) => { if (!event.target.dataset.boxes) update(); });
  controls.addEventListener("submit", (event) => event.preventDefault());
  // The fields change after the event; what they show then is what counts.
  controls.addEventListener("reset", () => setTimeout(() => { update(); showBoxes(); }));
  byId("previous").onclick = () => turn(state.page - 1);
  byId("next").onclick = () => turn(state.page + 1);
  byId("sample-previous").onclick = () => step(-1);
  byId("sample-next").onclick = () => step(1);
  byId("sample-zoom").onclick = zoom;
  if (run.before) fill(byId("order"), [["lost", `lost most since ${run.before}`], ["gained", `gained most since ${run.before}`]]);
  byId("sample-close").onclick = () => byId("sample").close();
  byId("sample").addEventListener("close", () => { if (byId("sample").classList.contains("zoomed")) zoom(); history.replaceState(null, "", location.pathname + location.search); });
  document.querySelectorAll("[data-row]").forEach((link) => link.addEventListener("click", (event) => { event.preventDefault(); open(Number(link.dataset.row)); }));
  addEventListener("hashchange", openLinked);
  byId("save-samples").onclick = saveSamples;
  if (byId("save-table")) { byId("save-table").hidden = false; byId("save-table").onclick = () => save("table.csv", run.table); }
  byId("sample").addEventListener("keydown", ({ key }) => { if (key === "ArrowLeft") step(-1); if (key === "ArrowRight") step(1); if (key === "z" || key === "Z") zoom(); });
  document.querySelectorAll("[data-boxes]").forEach((box) => box.addEventListener("change", () => showBoxes(box)));
  update();
}

// The gallery's two boxes and the dialog's are the same switches.
function showBoxes(changed) {
  for (const kind of ["planned", "found"]) {
    const boxes = [...document.querySelectorAll(`[data-boxes=${kind}]`)];
    const shown = changed && changed.dataset.boxes === kind ? changed.checked : boxes[0].checked;
    boxes.forEach((box) => { box.checked = shown; });
    document.body.classList.toggle(`hide-${kind}`, !shown);
  }
}

start();
openLinked();
performance.measure("gallery", "start");
