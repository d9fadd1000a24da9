// What other commands found, beside the scores: a section is made of blocks, which are plain data.
kardia.sections = (() => {
  const { breakable, details, el, facts, plural, said, table } = kardia.dom;
  const MANY = 5; // sentences of one finding that are shown at once
  let read = () => false;

  const cell = (value) => (value === null || value === undefined ? "–" : String(value));

  const tableOf = (block) => {
    const made = table(
      block.caption,
      block.columns,
      block.rows.map((row) => row.map(cell)),
      { right: block.right || [], hideCaption: block.closed },
    );
    if (block.shaded) shade(made, block.rows);
    return made;
  };

  // how dark a count is, by its share of its row: the number itself stands in it
  const shade = (made, rows) => {
    for (const one of made.querySelectorAll("th.right")) one.classList.add("count");
    [...made.querySelectorAll("tbody tr")].forEach((row, at) => {
      const total = rows[at].slice(1).reduce((sum, n) => sum + (Number(n) || 0), 0);
      [...row.querySelectorAll("td")].forEach((one, place) => {
        const share = total ? (Number(rows[at][place + 1]) || 0) / total : 0;
        one.classList.add("count", `shade-${Math.ceil(share * 4)}`);
      });
    });
  };

  const figure = (block, chart) =>
    chart
      ? el(
          "figure",
          {},
          el("figcaption", {}, block.label),
          chart,
          block.marked && block.rows.some((row) => row.warn)
            ? el("p", { class: "key" }, el("span", { class: "diamond", "aria-hidden": "true" }), block.marked)
            : null,
          block.beside
            ? details(said("The same as a table", block.label), el("div", { class: "under" }, tableOf({ ...block.beside, closed: true })))
            : null,
        )
      : null;

  const finding = (block) => {
    const { items } = block;
    const list = (some) =>
      some.length === 1
        ? el("p", { dir: "auto" }, some[0])
        : el(
            "ul",
            { class: "listed" },
            some.map((one) => el("li", { dir: "auto" }, one)),
          );
    const shown = items.length > MANY + 1 ? MANY : items.length;
    return el(
      "div",
      { class: `finding ${block.severity === "high" ? "warn" : ""}` },
      block.severity || block.title
        ? el(
            "p",
            { class: "kind" },
            block.severity
              ? el("span", { class: `badge ${block.severity === "high" ? "warn" : ""}` }, `${block.severity} severity`)
              : null,
            block.title ? el("strong", { dir: "auto" }, block.title) : null,
            items.length > 1 ? el("span", { class: "muted" }, `${items.length} times`) : null,
          )
        : null,
      list(items.slice(0, shown)),
      shown < items.length ? details(`${items.length - shown} more`, list(items.slice(shown))) : null,
      block.todo ? el("p", { class: "todo", dir: "auto" }, block.todo) : null,
    );
  };

  const side = (name, told) =>
    el(
      "div",
      { class: "side" },
      el("p", { class: "whose" }, `${name}: `, el("strong", {}, told ? told.level : "not asked")),
      told && told.words ? el("p", { class: "words", dir: "auto" }, told.words) : null,
    );

  const beside = (rows, names) =>
    el(
      "ol",
      { class: "sides" },
      rows.map((row) =>
        el(
          "li",
          {},
          el("p", { class: "criterion" }, breakable(row.criterion)),
          row.sides.map((told, at) => side(names[at], told)),
        ),
      ),
    );

  // levels that differ are what one looks for; where a value alone does, they are folded
  const moved = (item, names, open) => {
    const isSame = ({ sides: [one, two] }) => Boolean(one && two && one.level === two.level);
    const [other, same] = [item.rows.filter((row) => !isSame(row)), item.rows.filter(isSame)];
    return el(
      "details",
      { class: "moved", open },
      el(
        "summary",
        {},
        el("span", { class: "id", dir: "auto" }, item.id),
        " ",
        el("span", { class: "change" }, item.title),
        item.notes.map((note) => [" ", el("span", { class: "badge warn" }, note)]),
      ),
      read(item.id)
        ? el(
            "button",
            { type: "button", class: "link", on: { click: () => read(item.id, true) } },
            said("Read the conversation", item.id),
          )
        : null,
      other.length ? beside(other, names) : null,
      same.length
        ? details(`${plural(same.length, "criterion", "criteria")} at the same level`, beside(same, names))
        : null,
      item.rows.length ? null : el("p", { class: "muted" }, "No criterion differs."),
    );
  };

  const BLOCKS = {
    text: (block) => el("p", { class: "said", dir: "auto" }, block.text),
    heading: (block) => el("h3", { dir: "auto" }, block.text),
    finding,
    facts: (block) => details(block.label, facts(block.facts)),
    table: (block) =>
      block.closed
        ? details(block.caption, el("div", { class: "sheet" }, tableOf(block)))
        : el("div", { class: "sheet" }, tableOf(block)),
    intervals: (block) => figure(block, kardia.charts.intervals(block.label, block.rows, block)),
    lines: (block) => figure(block, kardia.charts.lines(block.label, block.series, block)),
    fold: (block) => details(block.label, block.blocks.map(made)),
    grid: (block) => el("div", { class: "grid" }, block.blocks.map(made)),
    sides: (block) => [
      el("h3", {}, block.label),
      block.items.map((item, at) => moved(item, block.names, at === 0)),
    ],
  };

  const made = (block) => (BLOCKS[block.type] ? BLOCKS[block.type](block) : null);

  // find(id, open): whether the list has a conversation; opens it where asked
  const section = (one, find) => {
    read = find;
    return el(
      "section",
      { id: one.id, "aria-labelledby": `${one.id}-h` },
      el("h2", { id: `${one.id}-h` }, one.title),
      one.blocks.map(made),
    );
  };

  // what each section comes to, at the head of the page
  const gists = (sections) => {
    const told = sections.filter((one) => one.gist);
    return told.length
      ? el(
          "div",
          { class: "sheet gists" },
          el("h3", {}, "What was found about these scores"),
          el(
            "dl",
            {},
            told.map((one) => [el("dt", {}, el("a", { href: `#${one.id}` }, one.nav)), el("dd", { dir: "auto" }, one.gist)]),
          ),
        )
      : null;
  };

  return { gists, section };
})();
