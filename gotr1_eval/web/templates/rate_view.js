/* Drawing an item and its questions. Foreign text only ever becomes a text node. */

export const find = (id) => document.getElementById(id);

export function element(tag, text = "", className = "") {
  const made = document.createElement(tag);
  if (text) made.textContent = text;
  if (className) made.className = className;
  return made;
}

/* pictures: the names of what is shown, of a pair the left one first. */
export function showItem(key, item, pictures) {
  const pair = pictures.length === 2;
  find("prompt").textContent = item.prompt;
  find("picture-figure").hidden = !pictures.length;
  find("other-figure").hidden = !pair;
  find("picture-name").textContent = pair ? "Left" : "Picture";
  find("plan-figure").hidden = find("chain-part").hidden = item.chain === null;
  find("frames-toggle").hidden = !item.frames.length || pair;
  setPicture("picture", pictures[0], pair ? "The left picture" : "The picture that was painted");
  setPicture("other", pictures[1], "The right picture");
  const frames = item.frames.map((frame) => frame.name).join(", ");
  setSource("plan", item.chain === null ? "" : `plans/${key}.png`, frames ? `Frames of: ${frames}` : "An empty canvas: no frame can be read");
  find("frames").replaceChildren(...item.frames.map(drawnFrame));
  find("chain").replaceChildren(...(item.chain ?? []).map(piece));
}

function setPicture(id, name, words) {
  setSource(id, name ? `pictures/${name}.png` : "", words);
}

function setSource(id, source, words) {
  const picture = find(id);
  if (source) picture.src = source; else picture.removeAttribute("src");
  picture.alt = words;
}

/* The pixels of a tiny picture stay sharp. */
for (const id of ["picture", "other"]) {
  find(id).addEventListener("load", ({ target }) => target.classList.toggle("small", target.naturalWidth <= 128));
}

function drawnFrame(frame) {
  const drawn = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  for (const name of ["x", "y", "width", "height"]) drawn.setAttribute(name, frame[name]);
  drawn.setAttribute("stroke", frame.colour);
  return drawn;
}

function piece({ text, colour }) {
  if (!colour) return document.createTextNode(text);
  const made = element("mark", text);
  made.style.backgroundColor = colour;
  return made;
}

/* One fieldset a question. Its buttons call `answered(dimension, value, by pointer)`, its use `entered(place)`. */
export function showQuestions(dimensions, answered, entered) {
  find("questions").replaceChildren(...dimensions.map((dimension, place) => {
    const part = element("fieldset");
    part.dataset.dimension = dimension.name;
    part.append(element("legend", dimension.name.replaceAll("_", " ")));
    const rubric = element("div", "", "rubric");
    rubric.append(...dimension.rubric.split(/\n\n+/).map((paragraph) => element("p", paragraph)));
    part.append(rubric, markRow(dimension, answered), cannotButton(dimension, answered));
    /* Not on a pressed pointer: its rubric would open and push the button away from under the finger. */
    part.addEventListener("focusin", (event) => { if (event.target.matches(":focus-visible")) entered(place); });
    part.addEventListener("click", (event) => { if (event.target === part || !event.target.dataset.value) entered(place); });
    return part;
  }));
}

function markRow(dimension, answered) {
  const inWords = dimension.marks.some((mark) => mark.words !== mark.key);
  const row = element("div", "", inWords ? "marks words" : "marks");
  row.append(...dimension.marks.map((mark) => {
    const button = answerButton(mark.words, mark.value, "mark", dimension, answered);
    if (inWords) button.append(" ", element("kbd", mark.key));
    return button;
  }));
  return row;
}

function cannotButton(dimension, answered) {
  const button = answerButton("cannot judge ", "cannot", "cannot", dimension, answered);
  button.append(element("kbd", "C"));
  return button;
}

function answerButton(words, value, className, dimension, answered) {
  const button = element("button", words, className);
  button.type = "button";
  button.dataset.value = value;
  button.addEventListener("click", (event) => answered(dimension, value, event.detail > 0));
  return button;
}

/* Which marks are given, and which question is the current one. */
export function showAnswers(given, current) {
  [...find("questions").children].forEach((part, place) => {
    const value = given[part.dataset.dimension];
    part.classList.toggle("current", place === current);
    part.setAttribute("aria-current", String(place === current));
    part.classList.toggle("answered", value !== undefined);
    for (const button of part.querySelectorAll("[data-value]")) {
      button.setAttribute("aria-pressed", String(value !== undefined && button.dataset.value === String(value)));
    }
  });
}

export function showNeeds(dimension) {
  for (const part of document.querySelectorAll("[data-need]")) {
    part.classList.toggle("wanted", part.dataset.need.split(" ").some((need) => dimension?.needs.includes(need)));
  }
}

export function showProgress(done, total) {
  find("bar").max = total;
  find("bar").value = done;
  find("count").textContent = `${done} of ${total} done`;
  find("done").hidden = done < total;
}

export function showSaving({ waiting, fault }) {
  const saved = find("saved");
  const many = waiting.size === 1 ? "1 answer is" : `${waiting.size} answers are`;
  saved.classList.toggle("fault", Boolean(fault));
  saved.textContent = !waiting.size ? "All saved" : fault ? `${many} not saved yet: ${fault}. Trying again …` : "Saving …";
}

/* What raters are told, on the first page and in the help. */
export function showIntroduction(paragraphs) {
  for (const id of ["introduction", "instructions"]) {
    find(id).replaceChildren(...paragraphs.map((paragraph) => element("p", paragraph)));
  }
}

/* The help says what this study's keys do. */
export function showKeys(dimensions) {
  const marks = dimensions.flatMap((dimension) => dimension.marks);
  if (marks.every((mark) => mark.words !== mark.key)) {
    find("marks-keys").replaceChildren(...marks.flatMap((mark) => [element("kbd", mark.key), " "]));
    find("marks-help").textContent = marks.map((mark) => mark.words).join(", ");
  }
  for (const part of document.querySelectorAll(".of-plans")) part.hidden = !dimensions.some((one) => one.needs.some((need) => need === "plan" || need === "chain"));
}
