"use strict";
// The viewer's list: filter, sort, and how far the runs are. Whatever comes from a run is set as text, never as HTML.

const byId = (id) => document.getElementById(id);
const ago = (seconds) => { const s = Math.max(Date.now() / 1000 - seconds, 0); return s < 90 ? "just now" : s < 5400 ? `${Math.round(s / 60)} min ago` : s < 172800 ? `${Math.round(s / 3600)} h ago` : new Date(seconds * 1000).toISOString().slice(0, 10); };

function times() {
  document.querySelectorAll(".changed[data-value]").forEach((cell) => { cell.textContent = ago(Number(cell.dataset.value)); });
}

function filter() {
  const words = byId("filter").value.trim().toLowerCase().split(/\s+/);
  document.querySelectorAll(".runs tbody tr").forEach((row) => {
    row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
  });
}

// What has changed since the page was made: counts in place, a note where there are other runs.
async function refresh() {
  const rows = await (await fetch("/api/runs")).json();
  const shown = new Map([...document.querySelectorAll(".runs tbody tr")].map((row) => [row.dataset.name, row]));
  for (const row of rows) {
    const cells = shown.get(row.name);
    if (!cells) continue;
    const count = cells.querySelector(".progress");
    count.textContent = row.done.toLocaleString("en") + (row.done === row.expected ? "" : ` of ${row.expected.toLocaleString("en")}`);
    count.dataset.value = row.done;
    if (row.live) count.append(" ", Object.assign(document.createElement("span"), { className: "warn", textContent: "running" }));
    cells.querySelector(".changed").dataset.value = row.changed;
  }
  const fresh = rows.filter((row) => !shown.has(row.name)).length;
  byId("live").textContent = fresh ? `${fresh} new: load the page again` : "";
  times();
}

times();
if (byId("filter")) {
  byId("filter").addEventListener("input", filter);
  filter();
  if (JSON.parse(byId("view-data").textContent).live) setInterval(() => refresh().catch(() => { byId("live").textContent = "the server does not answer"; }), 2000);
}
