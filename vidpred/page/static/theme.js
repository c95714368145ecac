// Runs before the page is drawn, so that the chosen theme never flashes.
"use strict";
try {
  const chosen = localStorage.getItem("vidpred-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
} catch { /* storage may be forbidden */ }
