// View: what is sorted, filtered and open, kept in the URL's fragment; then the page starts
//
//   #row-KEY            one row, open and in sight
//   #task-NAME          a task
//   #find=...&trait=...&setting.TASK=...&sort.TASK=COLUMN.DIRECTION&open=KEY,KEY

const DIRECTIONS = ["ascending", "descending"];

function view() {
  const parts = new URLSearchParams();
  const keep = (name, value) => value && parts.set(name, value);
  keep("find", find.value.trim());
  keep("trait", trait.value);
  for (const table of tables) {
    const { task } = table.closest(".task").dataset;
    const sorted = table.querySelector("th[aria-sort]");
    keep(`setting.${task}`, settingChoice(table)?.value);
    keep(`sort.${task}`, sorted && `${sorted.dataset.column}.${sorted.getAttribute("aria-sort")}`);
  }
  keep("open", rows.filter(({ row }) => isOpen(row)).map(({ row }) => row.dataset.key).join(","));
  return parts.toString();
}

function keepView() {
  const fragment = view();
  try {
    history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
  } catch {
    // framed by a page that lends it no address of its own: the view is then kept nowhere
  }
}

function restoreView() {
  const fragment = location.hash.slice(1);
  if (fragment.startsWith("row-")) return showRow(document.getElementById(fragment));
  if (!fragment.includes("=")) return undefined;
  const parts = new URLSearchParams(fragment);
  const open = (parts.get("open") ?? "").split(",");
  find.value = parts.get("find") ?? "";
  trait.value = "";
  prefer(trait, parts.get("trait"));
  tables.forEach((table) => restoreTable(table, parts));
  rows.forEach(({ row }) => setOpen(row, open.includes(row.dataset.key)));
  showAsked();
  return bring(document.getElementById(`row-${open[0]}`), "center");
}

function restoreTable(table, parts) {
  const { task } = table.closest(".task").dataset;
  const choice = settingChoice(table);
  if (choice) choice.value = "";
  if (choice) prefer(choice, parts.get(`setting.${task}`));
  const [column, direction] = (parts.get(`sort.${task}`) ?? "").split(".");
  const head = [...table.querySelectorAll("thead th")].find((cell) => cell.dataset.column === column);
  if (head && DIRECTIONS.includes(direction)) sortTable(head.querySelector("button"), direction);
}

function showRow(row) {
  const entry = rows.find((one) => one.row === row);
  if (!entry) return;
  if (!asked(entry)) clear();
  setOpen(row, true);
  bring(row, "start");
}

function bring(row, block, frames = 6) {  // tables are laid out when they come near, which moves what is below them
  if (!row || frames === 0) return;
  row.scrollIntoView({ block, behavior: "instant" });
  requestAnimationFrame(() => bring(row, block, frames - 1));
}

function clear() {
  [find, trait, ...tables.map(settingChoice)].filter(Boolean).forEach((field) => { field.value = ""; });
  showAsked();
}

// What people do

function changed() {
  showAsked();
  keepView();
}

filters.addEventListener("input", changed);
filters.addEventListener("submit", (event) => event.preventDefault());
document.getElementById("clear").addEventListener("click", () => { clear(); keepView(); find.focus(); });
document.querySelectorAll(".settings select").forEach((select) => select.addEventListener("input", changed));

for (const table of tables) {
  table.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    const row = event.target.closest("tr.row");
    if (button && table.tHead.contains(button)) {
      const direction = button.closest("th").getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
      sortTable(button, direction);
    } else if (row && (button || !getSelection().toString())) {
      setOpen(row, !isOpen(row));
    } else {
      return;
    }
    keepView();
  });
}

filters.hidden = false;
document.querySelectorAll(".settings").forEach((wrapper) => { wrapper.hidden = false; });
prefersDark.addEventListener("change", applyTheme);
addEventListener("hashchange", restoreView);
applyTheme();
showAsked();
restoreView();
watchCharts();
