// Elements from data. Whatever is not an element becomes a text node: no string is ever read as HTML.
kardia.dom = (() => {
  const el = (name, attributes, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (value === null || value === undefined || value === false) continue;
      if (key === "on") {
        for (const [event, react] of Object.entries(value)) made.addEventListener(event, react);
      } else {
        made.setAttribute(key, value === true ? "" : String(value));
      }
    }
    made.append(...children.flat(3).filter((one) => one !== null && one !== undefined && one !== false));
    return made;
  };

  const byId = (id) => document.getElementById(id);

  const count = (n) => n.toLocaleString("en");

  const number = (value, digits = 2) => (value === null || value === undefined ? "–" : value.toFixed(digits));

  const percent = (n, total) => {
    if (!total) return "–";
    const share = (100 * n) / total;
    return `${share > 0 && share < 10 ? share.toFixed(1) : share.toFixed(0)}\u00a0%`;
  };

  const plural = (n, one, many = `${one}s`) => `${count(n)} ${n === 1 ? one : many}`;

  // a long name may be broken after its dots and underscores
  const breakable = (name) =>
    typeof name === "string"
      ? name.split(/(?<=[._])(?=.)/).flatMap((part, at) => (at ? [el("wbr"), part] : [part]))
      : name;

  // what is wider than the page can be scrolled by keyboard, and only that is a stop on the way through it
  const wide = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const scrolls = target.scrollWidth > target.clientWidth + 1;
      for (const [name, value] of [["tabindex", "0"], ["role", "region"]]) {
        if (scrolls) target.setAttribute(name, value);
        else target.removeAttribute(name);
      }
      if (scrolls) target.setAttribute("aria-label", target.querySelector("caption").textContent);
      else target.removeAttribute("aria-label");
    }
  });

  const scroller = (content) => {
    const made = el("div", { class: "scroll" }, content);
    wide.observe(made);
    return made;
  };

  // rows: lists of cells; a cell is text, a number that is already text, or an element. The first names its row.
  const table = (caption, columns, rows, { right = [], hideCaption = false } = {}) =>
    scroller(
      el(
        "table",
        {},
        el("caption", { class: hideCaption ? "unseen" : null }, caption),
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            columns.map((name, at) => el("th", { scope: "col", class: right.includes(at) ? "right" : null }, name)),
          ),
        ),
        el(
          "tbody",
          {},
          rows.map((row) =>
            el(
              "tr",
              {},
              row.map((cell, at) =>
                at === 0
                  ? el("th", { scope: "row" }, breakable(cell))
                  : el("td", { class: right.includes(at) ? "right" : null }, cell),
              ),
            ),
          ),
        ),
      ),
    );

  const details = (summary, ...children) => el("details", {}, el("summary", {}, summary), ...children);

  // words that are told apart, for who does not see what they stand under
  const said = (words, of) => [words, el("span", { class: "unseen" }, ` (${of})`)];

  // any JSON as a list of names and values
  const facts = (data) =>
    el(
      "dl",
      { class: "facts" },
      Object.entries(data).map(([key, value]) => [el("dt", {}, key), el("dd", { dir: "auto" }, fact(value))]),
    );

  const fact = (value) => {
    if (value === null || value === undefined) return "–";
    if (Array.isArray(value)) {
      return value.some((one) => typeof one === "object" && one !== null)
        ? el(
            "ol",
            {},
            value.map((one) => el("li", {}, fact(one))),
          )
        : value.join(", ") || "–";
    }
    return typeof value === "object" ? facts(value) : String(value);
  };

  // a bar of a share in [0, 1]; its number stands beside it, so that it is decoration
  const bar = (share) => {
    const inner = el("i", {});
    inner.style.width = `${Math.round(100 * Math.min(Math.max(share, 0), 1))}%`;
    return el("span", { class: "bar", "aria-hidden": "true" }, inner);
  };

  return { bar, breakable, byId, count, details, el, facts, number, percent, plural, said, table };
})();
