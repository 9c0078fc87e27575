// Drawers: what stands behind a row, built from the page's data when it is opened

const SEEDS = [
  ["seed", "number"], ["", "number"], ["status"], ["attempts", "number"], ["wall-clock", "number"],
  ["predicted", "number"], ["compute", "number"], ["memory", "number"], ["energy", "number"],
];
const ORIGIN = [["seed", "number"], ["job"], ["commit"], ["device"], ["data, as read"], ["its files"], ["run this job again", "command"]];

let drawerData;

function dataOf(row) {
  drawerData ??= JSON.parse(document.getElementById("drawers").textContent);
  return drawerData.rows[row.dataset.key];
}

function element(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter(Boolean));
  return made;
}

function isOpen(row) {
  return row.querySelector(".open").getAttribute("aria-expanded") === "true";
}

function setOpen(row, open) {
  const button = row.querySelector(".open");
  if (open && !drawerOf(row)) row.after(drawer(row));
  button.setAttribute("aria-expanded", String(open));
  const more = drawerOf(row);
  if (!more) return;
  button.setAttribute("aria-controls", more.id);
  more.hidden = !open || row.hidden;
}

function drawer(row) {
  const data = dataOf(row);
  const inside = element("div", { className: "inside" },
    element("p", {}, `${data.note} `, element("a", { className: "link", href: `#${row.id}` }, "Link to this row")),
    ...data.failures.map(failure),
    part("Seeds", seeds(data), data.cost && element("p", { className: "quiet" }, sentence(data.cost))),
    data.published.length > 0 && part("In papers", papers(data)),
    part("Provenance", provenance(data)),
    part("Spec", spec([...drawerData.settings[data.setting].spec, ...data.arguments])));
  const cell = element("td", { colSpan: row.cells.length }, inside);
  return element("tr", { className: "more", id: `more-${row.dataset.key}` }, cell);
}

function part(title, ...children) {
  return element("section", {}, element("h3", {}, title), ...children);
}

function sentence(text) {
  return `${text.replace(/^./, (letter) => letter.toUpperCase())}.`;
}

function failure({ what, why, log }) {
  const said = element("div", { className: "failure" }, element("p", {}, element("strong", {}, what), ` ${why}`));
  if (!log) return said;
  const lines = element("pre", { tabIndex: 0 }, log);
  lines.setAttribute("role", "region");
  lines.setAttribute("aria-label", `Last lines of the log. ${what}`);
  said.append(lines);
  return said;
}

function table(label, columns, lines, sums = []) {
  const cell = (kind, text, index) => element(kind, { className: columns[index][1] ?? "" }, text);
  const line = (cells) => element("tr", {}, ...cells.map((text, index) => cell("td", text, index)));
  const heads = columns.map(([title], index) => Object.assign(cell("th", title, index), { scope: "col" }));
  const made = element("table", { className: "trials" },
    element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...lines.map(line)));
  if (sums.length) made.append(element("tfoot", {}, ...sums.map(line)));
  const scroll = element("div", { className: "scroll", tabIndex: 0 }, made);
  scroll.setAttribute("role", "region");
  scroll.setAttribute("aria-label", label);
  return scroll;
}

function seeds(data) {
  const columns = SEEDS.map(([title, kind], index) => [index === 1 ? data.metric : title, kind]);
  return table("Seeds", columns, data.seeds, data.seeds.length > 1 ? [data.mean, data.sum] : []);
}

function provenance(data) {
  const lines = data.provenance.map((trial) => {
    const commit = element("span", {}, element("code", {}, trial.commit));
    if (trial.mark) commit.append(" ", element("span", { className: "mark" }, trial.mark));
    const [job, read, files, rerun] = [trial.job, trial.data, trial.files, trial.rerun ?? "–"].map((text) => element("code", {}, text));
    return [trial.seed, job, commit, trial.device, read, files, rerun];
  });
  return table("Provenance", ORIGIN, lines);
}

function papers(data) {
  const lines = data.published.map((text) => element("li", {}, element("span", { className: "mark" }, "as published, not ours"), ` ${text}`));
  return element("ul", { className: "papers" }, element("li", {}, element("strong", {}, "ours"), ` ${data.ours}`), ...lines);
}

function spec(pairs) {
  return element("dl", { className: "spec" }, ...pairs.map(([key, value]) => element("div", {}, element("dt", {}, key), element("dd", {}, value))));
}
