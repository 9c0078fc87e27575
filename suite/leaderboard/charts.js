// Charts: data and plotting library are read when the first one comes near the screen

let chartData;

function figures() {
  if (chartData) return chartData;
  chartData = JSON.parse(document.getElementById("charts").textContent);
  const profiles = Object.values(chartData.tasks).flatMap((task) => task.profiles);
  profiles.forEach((line) => { line.x ??= line.y.map((_, layer) => layer); });
  return chartData;
}

function loadPlotly() {
  if (window.Plotly) return;
  const script = document.createElement("script");
  script.textContent = document.getElementById("plotly").textContent;
  document.head.append(script);
}

const narrow = matchMedia("(max-width: 720px)");
const PALETTE = {  // Okabe and Ito's colour-blind safe set, without yellow; lightened on a dark page
  light: ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b98300", "#3f9bd1", "#6b4fa0"],
  dark: ["#5ab4ea", "#f08a3c", "#2fc79a", "#e2a0c5", "#e6b94a", "#9ad3f5", "#a996dd"],
};
const SHAPES = ["circle", "square", "diamond", "triangle-up", "x", "triangle-down", "cross"];
const SAYS = {
  cosine: "Mean pairwise cosine: 1 means that all tokens or nodes have become alike.",
  residual: "What is left after the mean is taken away, as a share of the norm: 0 means all alike.",
  ratio: "High over low frequencies: 0 means that only the mean is left.",
  energy: "Dirichlet energy as a Rayleigh quotient: 0 means that smoothing changes nothing any more.",
  rank: "Effective rank of the centred features: low means that few directions are left.",
  norm: "Mean length of the feature vectors: shows features that vanish or explode.",
  entropy: "Entropy of the baseline's attention [nat], on 16 rows: log N means that all tokens are attended to alike.",
  first: "Share of the baseline's attention that goes to the first token, on 16 rows.",
};
const AXES = {
  cosine: "mean cosine", residual: "relative residual", ratio: "high / low frequencies", energy: "Dirichlet energy",
  rank: "effective rank", norm: "feature norm", entropy: "entropy [nat]", first: "attention to the first token",
};
const SITES = { block: "block output", branch: "attention or propagation branch" };

function looks(variant) {
  const index = figures().variants.indexOf(variant);
  const ink = getComputedStyle(document.documentElement).getPropertyValue("--ink").trim();
  if (index === 0) return { color: ink, symbol: "circle-open", dash: "dash" };  // the baseline
  const palette = PALETTE[dark() ? "dark" : "light"];
  const dashes = ["solid", "dot", "dashdot", "longdash"];
  const turn = index - 1;
  return { color: palette[turn % palette.length], symbol: SHAPES[turn % SHAPES.length], dash: dashes[Math.floor(turn / palette.length) % 4] };
}

function trace(line) {
  const look = looks(line.variant);
  return {
    x: line.x, y: line.y, name: line.name, mode: "lines+markers", type: "scatter",
    legendrank: figures().variants.indexOf(line.variant),
    line: { color: look.color, width: 2, dash: look.dash, shape: line.shape },
    marker: { color: look.color, symbol: look.symbol, size: 7 },
    hovertemplate: "%{y:.4~g}",
    error_y: line.sd && line.sd.some((sd) => sd > 0) ? { array: line.sd, color: look.color, thickness: 1, width: 3 } : undefined,
  };
}

function layout(x, y, ticks) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(name).trim();
  const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), zeroline: false, automargin: true };
  return {
    font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: colour("--soft") },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    margin: { l: 8, r: 8, t: 14, b: 8 }, hovermode: "x unified",
    hoverlabel: { bgcolor: colour("--card"), bordercolor: colour("--line"), font: { color: colour("--ink") } },
    legend: { orientation: "h", y: -0.24, yanchor: "top", x: 0, itemwidth: 30, font: { size: 12 } }, showlegend: true,
    xaxis: { ...axis, title: { text: x, standoff: 6, font: { size: 12.5 } }, tickvals: ticks, showgrid: false },
    yaxis: { ...axis, title: { text: y, standoff: 8, font: { size: 12.5 } } },
  };
}

function unique(values) {
  return [...new Set(values)];
}

function control(parent, label, values, change) {
  const select = document.createElement("select");
  values.forEach((value) => select.add(new Option(value)));
  select.addEventListener("change", change);
  if (values.length > 1) {
    const wrapper = document.createElement("label");
    wrapper.append(label, select);
    parent.append(wrapper);
  }
  return select;
}

function prefer(select, value) {
  if ([...select.options].some((option) => option.value === value)) select.value = value;
}

function ticksFor(lines) {
  const places = unique(lines.flatMap((line) => line.x)).sort((a, b) => a - b);
  const every = Math.ceil(places.length / (narrow.matches ? 8 : 13));
  return places.filter((_, index) => index % every === 0);
}

function shortNames(lines) {  // without arguments where the variant appears once; the baseline is drawn on top
  const times = (variant) => lines.filter((line) => line.variant === variant).length;
  const named = lines.map((line) => ({ ...line, name: times(line.variant) === 1 ? line.name.split("[")[0] : line.name }));
  return named.sort((a, b) => (a.variant === figures().variants[0]) - (b.variant === figures().variants[0]));
}

function plot(figure, lines, x, y, says) {
  figure.querySelector(".says").textContent = says;
  const options = { displayModeBar: false, responsive: true };
  const legendRows = Math.ceil(lines.length / (narrow.matches ? 2 : 3));
  const place = figure.querySelector(".plot");
  place.style.height = `${300 + 24 * legendRows}px`;
  Plotly.react(place, shortNames(lines).map(trace), layout(x, y, ticksFor(lines)), options);
}

function profileChart(figure, task) {
  const all = figures().tasks[task].profiles;
  const controls = figure.querySelector(".controls");
  const fields = ["metric", "setting", "stack", "site"];
  const selects = {};
  const draw = () => {
    const lines = all.filter((line) => fields.every((field) => line[field] === selects[field].value));
    const { metric, site, stack } = Object.fromEntries(fields.map((field) => [field, selects[field].value]));
    figure.querySelector("h3").textContent = `${AXES[metric].replace(/^./, (letter) => letter.toUpperCase())} by layer`;
    plot(figure, lines, `layer of the ${stack}, ${SITES[site] ?? site}`, AXES[metric], SAYS[metric]);
  };
  fields.forEach((field) => { selects[field] = control(controls, field, unique(all.map((line) => line[field])), draw); });
  prefer(selects.site, "block");
  prefer(selects.metric, figure.dataset.metric);
  prefer(selects.setting, all.reduce((deepest, line) => (line.x.length > deepest.x.length ? line : deepest)).setting);
  return draw;
}

function sweepChart(figure, task) {
  const { argument, metric, lines } = figures().tasks[task].sweep;
  const select = control(figure.querySelector(".controls"), "setting", unique(lines.map((line) => line.place)), () => draw());
  const draw = () => {
    const shown = lines.filter((line) => line.place === select.value);
    plot(figure, shown, argument, metric, "Mean over seeds; bars show one standard deviation.");
  };
  return draw;
}

function costChart(figure, task) {
  const { axis, costs: points } = figures().tasks[task];
  const controls = figure.querySelector(".controls");
  const [against, setting] = ["against", "setting"].map((field) => control(controls, field, unique(points.map((point) => point[field])), () => draw()));
  const draw = () => {
    const shown = points.filter((point) => point.setting === setting.value && point.against === against.value)
      .map((point) => ({ ...point, name: `${point.front ? "★ " : ""}${point.name}` }));
    plot(figure, shown, against.value, axis, "★: no other variant is both cheaper and better, by their means. Bars show one standard deviation.");
    Plotly.relayout(figure.querySelector(".plot"), { "xaxis.tickvals": null, hovermode: "closest" });
  };
  return draw;
}

function standingsChart(figure) {
  const lines = figures().standings.map((line) => ({ ...line, shape: "hv" }));
  return () => {
    plot(figure, lines, "factor from the best mean", "share of settings", "Higher is better, and further left earlier; the left end is where a variant is the best itself.");
    Plotly.relayout(figure.querySelector(".plot"), { "xaxis.tickvals": null });
  };
}

const CHARTS = { profiles: profileChart, sweep: sweepChart, costs: costChart, standings: standingsChart };

const observer = new IntersectionObserver((seen) => {  // a chart is drawn when it comes near the screen
  seen.filter((entry) => entry.isIntersecting).forEach(({ target }) => {
    observer.unobserve(target);
    loadPlotly();
    const draw = CHARTS[target.dataset.chart](target, target.closest(".task")?.dataset.task);
    redraws.add(draw);
    draw();
  });
}, { rootMargin: "600px" });

function watchCharts() {
  document.querySelectorAll(".chart").forEach((figure) => observer.observe(figure));
}
