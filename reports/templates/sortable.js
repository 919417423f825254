"use strict";
// Tables whose columns sort: by value, downwards first, or by text, upwards first. Rows that sum up others stay below.

function sortable(table) {
  const value = (cell) => Number((cell.dataset.value !== undefined ? cell : cell.querySelector("[data-value]") ?? cell).dataset.value ?? NaN);
  table.querySelectorAll("thead th").forEach((head) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: head.textContent });
    head.replaceChildren(button);
    button.onclick = () => {
      const place = [...head.parentElement.children].indexOf(head);
      const all = [...table.tBodies[0].rows], rows = all.filter((row) => !row.classList.contains("pooled"));
      const numbers = rows.some((row) => !Number.isNaN(value(row.cells[place])));
      const before = head.getAttribute("aria-sort");
      const down = before === null ? numbers : before === "ascending";
      const order = (a, b) => numbers ? value(a) - value(b) : a.textContent.localeCompare(b.textContent);
      rows.sort(({ cells: a }, { cells: b }) => {
        const missing = numbers ? Number.isNaN(value(a[place])) - Number.isNaN(value(b[place])) : 0;
        return missing || (down ? -1 : 1) * order(a[place], b[place]);
      });
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.tBodies[0].append(...rows, ...all.filter((row) => row.classList.contains("pooled")));
    };
  });
}

document.querySelectorAll("table.sortable").forEach(sortable);
