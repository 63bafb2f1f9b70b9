// What the book adds to the theme's scripts. Without any script a page shows all it has.
document.addEventListener("DOMContentLoaded", () => {
  const root = document.documentElement;
  const tabs = document.querySelectorAll(".framework-tabs");
  const wanted = root.dataset.framework;

  // From here on the tabs' own script has chosen: see the head of the page.
  delete root.dataset.framework;

  // Screen readers: what the tabs are for, and which one was chosen.
  const status = document.createElement("p");
  status.className = "visually-hidden";
  status.setAttribute("role", "status");
  document.body.append(status);
  const announce = name => { status.textContent = `All examples are in ${name} now.`; };
  tabs.forEach(set => {
    set.setAttribute("role", "group");
    set.setAttribute("aria-label", "Framework");
  });
  document.addEventListener("change", ({ target }) => {
    if (target.matches(".framework-tabs > input")) {
      announce(target.nextElementSibling.textContent.trim());
    }
  });
  // The reader chose in another window, or on the page before, a moment ago: follow.
  addEventListener("storage", ({ key, newValue }) => {
    if (key !== "sphinx-design-tab-id-framework" || !newValue) return;
    document.querySelectorAll(`.framework-tabs > [data-sync-id="${CSS.escape(newValue)}"]`)
      .forEach(label => { label.previousElementSibling.checked = true; });
  });
  // A link chose it: say so, for the reader may have chosen otherwise before.
  if (tabs.length && new URLSearchParams(location.search).get("framework") === wanted) {
    const label = tabs[0].querySelector(`[data-sync-id="${CSS.escape(wanted)}"]`);
    if (label) setTimeout(() => announce(label.textContent.trim()), 500);
  }

  // What scrolls sideways can be scrolled by keyboard, as soon as it is seen: a folded solution has
  // no width before.
  const sizes = new ResizeObserver(boxes => {
    const wide = boxes.map(({ target }) => target.scrollWidth > target.clientWidth);
    boxes.forEach(({ target }, k) => {
      if (wide[k]) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    });
  });
  document.querySelectorAll(".bd-article :is(table, pre, div.math, mjx-container)")
    .forEach(box => sizes.observe(box));
});
