// Light or dark: as the system has it, until somebody chooses.
kardia.theme = (() => {
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const changed = new Set();

  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);

  const remembered = () => {
    try {
      return localStorage.getItem("kardia-theme");
    } catch {
      return null; // a page from a file may have no storage
    }
  };

  const tell = () => {
    const button = kardia.dom.byId("theme");
    button.setAttribute("aria-pressed", String(isDark()));
    for (const react of changed) react();
  };

  const choose = (theme) => {
    root.dataset.theme = theme;
    try {
      localStorage.setItem("kardia-theme", theme);
    } catch {
      // then it holds for this visit
    }
    tell();
  };

  const start = () => {
    const before = remembered();
    if (before === "dark" || before === "light") root.dataset.theme = before;
    kardia.dom.byId("theme").addEventListener("click", () => choose(isDark() ? "light" : "dark"));
    system.addEventListener("change", tell);
    tell();
  };

  // paper is white, whatever the screen is
  window.addEventListener("beforeprint", () => {
    root.dataset.printing = "true";
    for (const react of changed) react();
  });
  window.addEventListener("afterprint", () => {
    delete root.dataset.printing;
    for (const react of changed) react();
  });

  return { choose, isDark, onChange: (react) => changed.add(react), start };
})();
