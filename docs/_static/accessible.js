// What axe finds in the pages of Sphinx and furo: headings of the contents without a level, and code that scrolls
// where the keyboard does not reach it.
addEventListener("DOMContentLoaded", () => {
  for (const caption of document.querySelectorAll('.caption[role="heading"]')) caption.setAttribute("aria-level", "2");
  const reach = () => {
    for (const code of document.querySelectorAll(".highlight pre, .table-wrapper")) {
      if (code.scrollWidth > code.clientWidth) code.tabIndex = 0;
      else code.removeAttribute("tabindex");
    }
  };
  reach();
  addEventListener("resize", reach);
});
