"use strict";
// Filters for tables marked data-filter: a list per column marked data-choice, and a text for all columns.
document.querySelectorAll("table[data-filter]").forEach((table) => {
  const form = document.getElementById(table.dataset.filter);
  const rows = Array.from(table.tBodies[0].rows);
  const texts = rows.map((row) => row.textContent.toLocaleLowerCase());
  const heads = Array.from(table.tHead.rows[0].cells);
  const choices = [];
  const field = (label, control) => {
    const wrap = document.createElement("label");
    wrap.append(label, control);
    form.insertBefore(wrap, form.querySelector("output"));
  };
  heads.forEach((head, column) => {
    if (head.dataset.choice === undefined) return;
    const list = document.createElement("select");
    const values = Array.from(new Set(rows.map((row) => row.cells[column].textContent.trim())));
    list.add(new Option("all", ""));
    values.sort().forEach((value) => list.add(new Option(value || "(none)", value || " ")));
    choices.push([column, list]);
    field(head.textContent, list);
  });
  const search = document.createElement("input");
  search.type = "search";
  field("Text", search);
  const show = () => {
    const wanted = search.value.trim().toLocaleLowerCase();
    let count = 0;
    rows.forEach((row, place) => {
      const fits = choices.every(([column, list]) =>
        list.value === "" || row.cells[column].textContent.trim() === list.value.trim());
      row.hidden = !(fits && texts[place].includes(wanted));
      count += row.hidden ? 0 : 1;
    });
    form.querySelector("output").textContent = count.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " rows";
  };
  form.addEventListener("input", show);
  form.addEventListener("submit", (event) => event.preventDefault());
  form.hidden = false;
  show();
});
