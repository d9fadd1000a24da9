// What stands above the scorecards: figures of each series, distributions, and what other commands found.
kardia.overview = (() => {
  const { bar, byId, count, details, el, facts, number, percent, plural, table } = kardia.dom;
  let show = () => {};

  const nameOf = (series) => `${series.rubric} · ${series.judge}`;

  const tile = (label, value, more) =>
    el("div", { class: "tile" }, el("dt", {}, label), el("dd", {}, value, more ? el("small", {}, more) : null));

  const tiles = (series) => {
    const { statuses, score, n } = series;
    const unscored = statuses.unscored || 0;
    const partial = statuses.partial || 0;
    return el(
      "dl",
      { class: "tiles" },
      tile("Mean score", number(score.mean), score.n ? `spread ${number(score.spread)}` : "nothing has a score"),
      tile("Median", number(score.median), score.n ? `middle 80 %: ${number(score.low)}–${number(score.high)}` : null),
      tile("Scored", count(n - unscored), [`of ${count(n)}`, partial ? `, ${count(partial)} partial` : ""]),
      tile("Unscored", count(unscored), unscored ? percent(unscored, n) : "none"),
      tile("Vetoed", count(series.vetoed), series.vetoed ? percent(series.vetoed, n) : "none"),
      series.guarded ? tile("Flagged by the guard", count(series.guarded), percent(series.guarded, n)) : null,
    );
  };

  const histogram = (series) => {
    const counts = series.score.histogram;
    const edges = counts.map((_, at) => at / counts.length);
    if (!series.score.n) return null;
    return el(
      "figure",
      {},
      el("figcaption", {}, "Scores"),
      kardia.charts.bars(
        `Histogram of ${plural(series.score.n, "score")}: mean ${number(series.score.mean)}, median ${number(series.score.median)}`,
        edges.map((edge) => edge.toFixed(2)),
        counts,
        { height: 170, x: "score, from 0 to 1" },
      ),
      details(
        "The same as a table",
        table(
          "How many scores in each part",
          ["from", "to", "scorecards"],
          counts.map((n, at) => [edges[at].toFixed(2), (edges[at] + 1 / counts.length).toFixed(2), count(n)]),
          { right: [1, 2] },
        ),
      ),
    );
  };

  const reasons = (series) =>
    series.reasons.length
      ? details(
          `Why criteria are unscored (${plural(series.reasons.length, "reason")})`,
          table(
            "Reasons",
            ["criterion", "why", "times"],
            series.reasons.map((one) => [one.criterion, el("span", { dir: "auto" }, one.why), count(one.n)]),
            { right: [2] },
          ),
        )
      : null;

  const origin = (series) =>
    details(
      "Where the numbers come from",
      facts({
        rubric: series.rubric,
        "rubric hash": series.rubric_hash,
        judge: series.judge,
        "judge hash": series.judge_hash,
        requests: count(series.requests),
        tokens: count(series.tokens),
        ...(series.cost === null ? {} : { cost: series.cost }),
      }),
      series.provenance.map((one) => facts(one)),
    );

  const overview = (summary) => {
    const home = byId("overview");
    for (const note of summary.notes) home.append(el("p", { class: "note" }, note));
    summary.series.forEach((series) => {
      const inner = summary.series.length > 1 ? [el("h3", {}, nameOf(series))] : [];
      home.append(
        el("div", { class: "series" }, inner, tiles(series), histogram(series), reasons(series), origin(series)),
      );
    });
  };

  const glance = (series) => {
    // columns that hold nothing but noughts are left out
    const columns = [
      ["criterion", (one) => one.id],
      ["mean value", (one) => (one.mean === null ? "–" : [bar(one.mean), number(one.mean)])],
      ["spread", (one) => number(one.spread)],
      ["scored", (one) => count(one.statuses.scored || 0)],
      ["unscored", (one) => count(one.statuses.unscored || 0)],
      ["abstained", (one) => one.statuses.abstained || 0, true],
      ["not applicable", (one) => one.statuses.not_applicable || 0, true],
      ["vetoes", (one) => (one.required ? one.vetoes : 0), true],
    ].filter(([, cell, optional]) => !optional || series.criteria.some((one) => cell(one)));
    return el(
      "div",
      { class: "sheet" },
      table(
        `Criteria of ${nameOf(series)} at a glance; a value of 1 is good`,
        columns.map(([name]) => name),
        series.criteria.map((one) => columns.map(([, cell, optional]) => (optional ? count(cell(one)) : cell(one)))),
        { right: columns.map((_, at) => at).slice(1), hideCaption: true },
      ),
    );
  };

  const distribution = (series, at, criterion) => {
    const { levels } = criterion;
    const counts = levels.map((level) => criterion.seen[level] || 0);
    const total = counts.reduce((sum, n) => sum + n, 0);
    const heading = criterion.id.split(".");
    const look = (level, n) =>
      n
        ? el(
            "button",
            {
              type: "button",
              class: "link",
              "aria-label": `Show the ${plural(n, "scorecard")} at level ${level} of ${criterion.id}`,
              on: { click: () => show(series, at, level) },
            },
            count(n),
          )
        : "0";
    return el(
      "figure",
      { class: "criterion" },
      el(
        "figcaption",
        {},
        el(
          "span",
          { class: "muted" },
          heading
            .slice(0, -1)
            .map((part) => `${part}.`)
            .join(""),
        ),
        heading.at(-1),
        criterion.required ? el("span", { class: "badge warn" }, "veto") : null,
      ),
      criterion.question ? el("p", { class: "question", dir: "auto" }, criterion.question) : null,
      total
        ? kardia.charts.bars(
            `${criterion.id}: ${levels.map((level, place) => `level ${level}: ${percent(counts[place], total)}`).join(", ")}`,
            levels,
            counts,
            { height: 110 },
          )
        : el("p", { class: "muted" }, "No scorecard has a level here."),
      details(
        "Levels",
        table(
          `Levels of ${criterion.id}`,
          ["level", "scorecards", "share", "what it means"],
          levels.map((level, place) => [
            level,
            look(level, counts[place]),
            percent(counts[place], total),
            el("span", { dir: "auto" }, criterion.described[level] || ""),
          ]),
          { right: [1, 2], hideCaption: true },
        ),
      ),
    );
  };

  const criteria = (summary) => {
    const home = byId("criteria");
    summary.series.forEach((series, place) => {
      if (summary.series.length > 1) home.append(el("h3", {}, nameOf(series)));
      home.append(glance(series));
      home.append(
        el(
          "div",
          { class: "grid" },
          series.criteria.map((one, at) => distribution(place, at, one)),
        ),
      );
    });
  };

  const BLOCKS = {
    text: (block) => el("p", { class: "said", dir: "auto" }, block.text),
    finding: (block) =>
      el(
        "div",
        { class: `finding ${block.warn ? "warn" : ""}` },
        el("p", { dir: "auto" }, block.text),
        block.todo ? el("p", { class: "todo", dir: "auto" }, block.todo) : null,
      ),
    facts: (block) => facts(block.facts),
    table: (block) => {
      const made = table(
        block.caption,
        block.columns,
        block.rows.map((row) => row.map(cell)),
        { right: block.right || [] },
      );
      return block.closed ? details(block.caption, made) : el("div", { class: "sheet" }, made);
    },
    intervals: (block) => figure(block.label, kardia.charts.intervals(block.label, block.rows, block)),
    bars: (block) => figure(block.label, kardia.charts.bars(block.label, block.labels, block.counts, block)),
    lines: (block) => figure(block.label, kardia.charts.lines(block.label, block.series, block)),
  };

  const figure = (label, chart) => (chart ? el("figure", {}, el("figcaption", {}, label), chart) : null);

  const cell = (value) => (value === null || value === undefined ? "–" : String(value));

  const section = (one) =>
    el(
      "section",
      { id: one.id, "aria-labelledby": `${one.id}-h` },
      el("h2", { id: `${one.id}-h` }, one.title),
      one.blocks.map((block) => (BLOCKS[block.type] ? BLOCKS[block.type](block) : null)),
    );

  const navigation = (summary) => {
    const targets = [
      ["overview", "Overview"],
      ["criteria", "Criteria"],
      ...summary.sections.map((one) => [one.id, one.nav]),
      ["cards", "Scorecards"],
    ];
    byId("nav").append(...targets.map(([id, name]) => el("a", { href: `#${id}` }, name)));
  };

  const start = (summary, onShow) => {
    show = onShow;
    const judges = new Set(summary.series.map((one) => one.judge));
    const rubrics = new Set(summary.series.map((one) => one.rubric));
    byId("about").append(
      `${plural(summary.cards, "scorecard")} of ${plural(summary.conversations, "conversation")}`,
      ` · ${[...rubrics].join(", ")} · judge ${[...judges].join(", ")}`,
    );
    navigation(summary);
    overview(summary);
    criteria(summary);
    byId("sections").append(...summary.sections.map(section));
    byId("foot").append(
      `Made by kardia ${summary.kardia} of ${summary.file}. This page is one file and asks no network; `,
      "it holds the texts of conversations: treat it as you treat those.",
    );
  };

  return { nameOf, start };
})();
