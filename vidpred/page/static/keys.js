// Keyboard shortcuts and the theme.

const $ = (selector) => document.querySelector(selector);
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");

function stored(key, value) {
  try {
    if (value === undefined) return localStorage.getItem(key);
    localStorage.setItem(key, value);
  } catch { /* storage may be forbidden */ }
  return null;
}

export function installTheme(changed) {
  const button = $("#theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const name = () => {
    button.querySelector(".label").textContent = isDark() ? "Light" : "Dark";
    button.setAttribute("aria-label", `Use the ${isDark() ? "light" : "dark"} theme`);
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    stored("vidpred-theme", root.dataset.theme);
    name();
    changed();
  });
  dark.addEventListener("change", () => { name(); changed(); });
  name();
}

const PANELS = { 1: "truth", 2: "pred", 3: "copy", 4: "difference" };
const typing = (target) => target.closest("select, textarea, summary") || (target.matches("input") && target.type !== "checkbox");
const pressing = (target) => target.closest("button, a, label, summary, input, select");

// page: { show, chooseMoment, last(), index(), frames(), player, predict, cancel, shown, ready() }
export function installKeys(page) {
  const help = $("#help");
  const letters = $("#shortcuts");
  letters.checked = stored("vidpred-shortcuts") !== "off";
  letters.addEventListener("change", () => stored("vidpred-shortcuts", letters.checked ? "on" : "off"));
  $("#keys").addEventListener("click", () => help.showModal());

  addEventListener("keydown", (event) => {
    if (help.open || event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    if (key === "?" && letters.checked && !typing(target)) { help.showModal(); return; }
    if (key === "Escape") {
      if (page.ready() && page.shown.enlarged) page.shown.enlarge(page.shown.enlarged); else page.cancel();
      return;
    }
    if (!page.ready() || typing(target)) return;
    if (target.id === "reel") {
      const to = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[key];
      if (to !== undefined) { event.preventDefault(); page.player.pause(); page.chooseMoment(page.last() + to); return; }
    }
    const to = { ArrowLeft: page.index() - 1, ArrowRight: page.index() + 1, Home: 0, End: Infinity }[key];
    if (to !== undefined) {
      event.preventDefault();
      page.player.pause();
      page.show(to);
    } else if (key === " " && !pressing(target)) {
      event.preventDefault();
      page.player.toggle();
    } else if (letters.checked && !event.repeat) {
      if (key in PANELS) page.shown.enlarge(PANELS[key]);
      else if (key === "p" || key === "P") page.predict();
      else if (key === "t" || key === "T") page.shown.holdTruth(true);
      else if (key === "[" || key === "]") page.shown.nextFuture(key === "[" ? -1 : 1);
    }
  });
  addEventListener("keyup", (event) => { if (event.key === "t" || event.key === "T") page.shown.holdTruth(false); });
  addEventListener("blur", () => page.shown.holdTruth(false));
}
