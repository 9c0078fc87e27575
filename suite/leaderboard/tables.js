// Tables: sorting within each setting, and leaving out rows that are not asked for

const tables = [...document.querySelectorAll(".board")];
const filters = document.getElementById("filters");
const find = document.getElementById("find");
const trait = document.getElementById("trait");
const shown = document.getElementById("shown");

const rows = tables.flatMap((table) => [...table.querySelectorAll("tr.row")].map((row) => {
  const setting = row.parentElement.dataset.setting;
  const name = row.querySelector(".open").textContent;
  return { row, setting, table, text: `${setting} ${name}`.toLowerCase(), traits: row.dataset.traits.split(" ") };
}));

function drawerOf(row) {
  const next = row.nextElementSibling;
  return next?.classList.contains("more") ? next : null;
}

function compare(first, second, numeric, sign) {
  if (first === "" || second === "") return (first === "") - (second === "");  // no number: always last
  return sign * (numeric ? Number(first) - Number(second) : first.localeCompare(second));
}

function sortTable(button, direction) {
  const head = button.closest("th");
  head.parentElement.querySelectorAll("th").forEach((cell) => cell.removeAttribute("aria-sort"));
  head.setAttribute("aria-sort", direction);
  const [column, numeric, sign] = [head.cellIndex, button.dataset.kind === "number", direction === "ascending" ? 1 : -1];
  const value = (row) => row.cells[column].dataset.value;
  for (const body of button.closest("table").tBodies) {
    const pairs = [...body.querySelectorAll("tr.row")].map((row) => [row, drawerOf(row)]);
    pairs.sort(([a], [b]) => compare(value(a), value(b), numeric, sign));
    body.append(...pairs.flat().filter(Boolean));
  }
}

function settingChoice(table) {
  return table.closest(".task").querySelector(".settings select");
}

function asked({ table, setting, text, traits }) {
  const choice = settingChoice(table)?.value;
  const words = find.value.toLowerCase().split(/\s+/);
  return (!choice || choice === setting) && (!trait.value || traits.includes(trait.value)) && words.every((word) => text.includes(word));
}

function showAsked() {
  let count = 0;
  for (const entry of rows) {
    const { row } = entry;
    const visible = asked(entry);
    const drawer = drawerOf(row);
    count += visible;
    row.hidden = !visible;
    if (drawer) drawer.hidden = !visible || !isOpen(row);
  }
  tables.forEach(foldEmpty);
  shown.textContent = count === rows.length ? `${count} rows` : `${count} of ${rows.length} rows`;
}

function foldEmpty(table) {  // a setting without rows is no heading, a table without rows a sentence
  const full = new Set();
  for (const body of table.tBodies) {
    if (body.querySelector("tr.row:not([hidden])")) full.add(body.dataset.setting);
    body.hidden = !full.has(body.dataset.setting);
  }
  table.parentElement.hidden = full.size === 0;
  table.closest(".task").querySelector(".none").hidden = full.size > 0;
}
