/* The page: who rates, which item is shown, what the keys do. */

import { Saving, reason } from "./rate_saving.js";
import { find, showAnswers, showIntroduction, showItem, showKeys, showNeeds, showProgress, showQuestions, showSaving } from "./rate_view.js";

const TYPING = 1000; /* milliseconds within which a second digit belongs to the first */
const RETRY = 1500;

const cache = new Map();
const spent = new Map(); /* item and dimension -> seconds so far */
let work = null; /* what the server said about this rater's work */
let saving = null;
let at = 0;
let dimensions = []; /* of the item that is shown; none while it has not come, so that no answer goes to what nobody saw */
let current = 0;
let history = [];
let typed = { text: "", time: 0 };
let clock = { since: 0, kept: 0 };

const key = () => work.order[at];
const given = () => (work.answers[key()] ??= {});
const finished = (item) => Object.keys(work.answers[item] ?? {}).length >= work.questions[item];

/* ---- who ---- */

async function begin(name, again) {
  const response = await fetch("api/begin", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ name, again }) });
  if (!response.ok) throw new Error(reason(await response.text(), response.status));
  return response.json();
}

async function enter(name, again) {
  find("name-fault").textContent = "";
  try {
    const answer = await begin(name, again);
    if (answer.known) askWhether(name, answer); else start(answer);
  } catch (error) {
    find("name-fault").textContent = error instanceof TypeError ? "The server does not answer." : error.message;
  }
}

function askWhether(name, { done, total }) {
  find("name-form").hidden = true;
  find("known").hidden = false;
  find("known-text").textContent = `${name} has rated ${done} of ${total} items.`;
  find("known-yes").focus();
}

function askName() {
  find("name-form").hidden = false;
  find("known").hidden = true;
  find("name").focus();
}

function start(answer) {
  work = answer;
  sessionStorage.setItem("rater", work.name);
  saving = new Saving(`rating:${work.study}:${work.name}:`, work.session, () => {
    showSaving(saving);
    if (saving.taken && !find("taken").open) find("taken").showModal();
  });
  for (const waiting of saving.waiting.values()) put(waiting.item, waiting.dimension, waiting.value);
  find("rater").textContent = work.name;
  showKeys(work.dimensions);
  find("start").hidden = true;
  for (const id of ["who", "progress", "saved", "rating"]) find(id).hidden = false;
  showSaving(saving);
  show(Math.max(work.order.findIndex((item) => !finished(item)), 0));
}

async function goOnHere() {
  try {
    const answer = await begin(work.name, true);
    work.answers = answer.answers;
    for (const waiting of saving.waiting.values()) put(waiting.item, waiting.dimension, waiting.value);
    find("taken").close();
    saving.resume(answer.session);
    refresh();
  } catch {
    find("taken-here").textContent = "The server does not answer; try again";
  }
}

/* ---- items ---- */

function load(item) {
  if (!cache.has(item)) {
    cache.set(item, fetch(`api/items/${item}`).then(async (response) => {
      if (!response.ok) throw new Error(reason(await response.text(), response.status));
      return response.json();
    }).catch((error) => { cache.delete(item); throw error; }));
  }
  return cache.get(item);
}

async function show(place, question = null) {
  at = place;
  dimensions = [];
  const wanted = key();
  let item = null;
  while (item === null) {
    try {
      item = await load(wanted);
    } catch (error) {
      hint(`The next item has not come yet (${error instanceof TypeError ? "the server does not answer" : error.message}). Trying again …`);
      await new Promise((resolve) => setTimeout(resolve, RETRY));
    }
    if (wanted !== key()) return;
  }
  hint("");
  dimensions = item.dimensions.map((name) => work.dimensions.find((dimension) => dimension.name === name));
  showItem(wanted, item, work.pictures[wanted]);
  showQuestions(dimensions, give, enterQuestion);
  find("place").textContent = `Item ${at + 1} of ${work.order.length}`;
  const open = dimensions.findIndex((dimension) => !(dimension.name in given()));
  current = question ?? Math.max(open, 0);
  clock = { since: performance.now(), kept: 0 };
  refresh();
  scrollTo(0, 0);
  prefetch(work.order[at + 1]);
}

function prefetch(item) {
  if (!item) return;
  load(item).then((facts) => {
    for (const name of work.pictures[item]) new Image().src = `pictures/${name}.png`;
    if (facts.chain !== null) new Image().src = `plans/${item}.png`;
  }).catch(() => { /* asked again when it is shown */ });
}

function refresh() {
  showAnswers(given(), current);
  showNeeds(dimensions[current]);
  showProgress(work.order.filter(finished).length, work.order.length);
  find("back").disabled = at === 0;
  find("undo").disabled = history.length === 0;
}

function move(step) {
  const place = at + step;
  if (place >= 0 && place < work.order.length) show(place);
  else if (step > 0) unfinished();
}

function unfinished() {
  const place = work.order.findIndex((item) => !finished(item));
  if (place >= 0) show(place); else hint("Everything is answered.");
}

/* ---- answers ---- */

function put(item, dimension, value) {
  const answers = (work.answers[item] ??= {});
  if (value === null) delete answers[dimension]; else answers[dimension] = value;
}

function seconds(dimension) {
  const now = performance.now();
  const name = `${key()} ${dimension}`;
  const total = (spent.get(name) ?? 0) + (clock.kept + (document.hidden ? 0 : now - clock.since)) / 1000;
  clock = { since: now, kept: 0 };
  spent.set(name, total);
  return Math.min(Math.round(total * 1000) / 1000, 86_400);
}

function give(dimension, value, byPointer = false) {
  if (!dimensions.includes(dimension)) return;
  enterQuestion(dimensions.indexOf(dimension));
  history.push({ place: at, question: current, dimension: dimension.name, before: given()[dimension.name] ?? null });
  send(dimension.name, value);
  const next = dimensions[current + 1];
  if (byPointer && next && !(next.name in given())) question(current + 1);
}

function send(dimension, value) {
  put(key(), dimension, value);
  saving.add({ item: key(), dimension, value, seconds: seconds(dimension) });
  hint("");
  refresh();
}

async function undo() {
  const last = history.at(-1);
  if (!last) return hint("There is nothing to undo.");
  if (last.place !== at) await show(last.place, last.question);
  if (last.place !== at || !dimensions.length || last !== history.at(-1)) return;
  history.pop();
  current = last.question;
  send(last.dimension, last.before);
  hint("Undone.");
}

function enterQuestion(place) {
  if (place === current) return;
  current = place;
  typed = { text: "", time: 0 };
  refresh();
}

function question(place) {
  if (place < 0 || place >= dimensions.length) return;
  enterQuestion(place);
  document.activeElement?.blur();
  find("questions").children[place].scrollIntoView({ block: "nearest" });
}

function onwards() {
  if (current + 1 < dimensions.length) return question(current + 1);
  const open = dimensions.findIndex((dimension) => !(dimension.name in given()));
  if (open < 0) return move(1);
  question(open);
  hint("This question is still open; → skips the item.");
}

function type(digit) {
  const dimension = dimensions[current];
  const now = performance.now();
  const longer = now - typed.time < TYPING ? typed.text + digit : digit;
  const text = dimension.marks.some((mark) => mark.key.startsWith(longer)) ? longer : digit;
  typed = { text, time: now };
  const mark = dimension.marks.find(({ key }) => key === text);
  if (mark) give(dimension, mark.value);
  else hint(`Marks go from ${dimension.marks[0].key} to ${dimension.marks.at(-1).key}.`);
}

function hint(text) {
  find("hint").textContent = text;
}

/* ---- keys and buttons ---- */

const MOVES = { ArrowLeft: () => move(-1), ArrowRight: () => move(1), g: unfinished, u: undo };
const KEYS = {
  ...MOVES,
  ArrowUp: () => question(current - 1),
  ArrowDown: () => question(current + 1),
  Enter: onwards,
  c: () => give(dimensions[current], "cannot"),
  b: toggleFrames,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target instanceof HTMLInputElement) return;
  if (document.querySelector("dialog[open]")) return;
  if (event.key === "?") return find("help").showModal();
  if (!work) return;
  /* Enter on a mark goes on, as it does everywhere; on any other button it presses that button. */
  if (event.key === "Enter" && event.target.closest?.("button:not(.mark, .cannot)")) return;
  const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const act = /^[0-9]$/.test(name) ? () => type(name) : KEYS[name];
  if (!act || (!dimensions.length && !(name in MOVES))) return;
  event.preventDefault();
  act();
});

document.addEventListener("visibilitychange", () => {
  const now = performance.now();
  if (document.hidden) clock.kept += now - clock.since;
  clock.since = now;
});

addEventListener("beforeunload", (event) => {
  if (saving?.waiting.size) event.preventDefault();
});

function toggleFrames() {
  const shown = document.body.classList.toggle("with-frames");
  find("frames-toggle").setAttribute("aria-pressed", String(shown));
}

function enlarge(id) {
  find("large-picture").src = find(id).src;
  find("large-picture").alt = find(id).alt;
  find("large").showModal();
}

find("name-form").addEventListener("submit", (event) => {
  event.preventDefault();
  enter(find("name").value, false);
});
find("known-yes").addEventListener("click", () => enter(find("name").value, true));
find("known-no").addEventListener("click", askName);
find("leave").addEventListener("click", () => { sessionStorage.removeItem("rater"); location.reload(); });
find("back").addEventListener("click", () => move(-1));
find("next").addEventListener("click", () => move(1));
find("undo").addEventListener("click", undo);
find("frames-toggle").addEventListener("click", toggleFrames);
find("taken-here").addEventListener("click", goOnHere);
find("taken").addEventListener("cancel", (event) => event.preventDefault());
find("help-open").addEventListener("click", () => find("help").showModal());
for (const button of document.querySelectorAll("[data-enlarges]")) {
  button.addEventListener("click", () => enlarge(button.dataset.enlarges));
}

fetch("api/introduction").then(async (response) => { if (response.ok) showIntroduction(await response.json()); }).catch(() => { /* the name's form says so */ });

const before = sessionStorage.getItem("rater");
if (before) { find("name").value = before; enter(before, true); } else find("name").focus({ preventScroll: true });
