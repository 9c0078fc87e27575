"use strict";

// Theme: automatic, light, dark

const prefersDark = matchMedia("(prefers-color-scheme: dark)");
const redraws = new Set();  // what has colours of its own

const theme = document.getElementById("theme");
let chosen = "automatic";

function dark() {
  return chosen === "dark" || (chosen === "automatic" && prefersDark.matches);
}

function applyTheme() {
  document.documentElement.dataset.theme = dark() ? "dark" : "light";
  theme.textContent = `Theme: ${chosen}`;
  redraws.forEach((redraw) => redraw());
}

theme.addEventListener("click", () => {
  const order = ["automatic", "light", "dark"];
  chosen = order[(order.indexOf(chosen) + 1) % order.length];
  applyTheme();
});
