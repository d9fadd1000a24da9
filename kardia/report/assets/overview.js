// What stands above the scorecards: figures of each series, distributions, and what other commands found.
kardia.overview = (() => {
  const { bar, byId, count, details, el, facts, number, percent, plural, said, table } = kardia.dom;
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
        edges.map((edge) => edge + 0.5 / counts.length),
        counts,
        { height: 170, x: "score, from 0 to 1", scale: [0, 1] },
      ),
      details(
        said("The same as a table", "scores"),
        table(
          "How many scores in each part",
          ["from", "to", "scorecards"],
          counts.map((n, at) => [edges[at].toFixed(2), (edges[at] + 1 / counts.length).toFixed(2), count(n)]),
          { right: [1, 2] },
        ),
      ),
    );
  };

  // one cause is one row, however many criteria it has met
  const reasons = (series) =>
    series.reasons.length
      ? details(
          `Why criteria are unscored (${plural(series.reasons.length, "reason")})`,
          el(
            "div",
            { class: "sheet" },
            table(
              "Reasons",
              ["why", "times", "criteria"],
              series.reasons.map((one) => [el("span", { dir: "auto" }, one.why), count(one.n), one.criteria.join(", ")]),
              { right: [1], hideCaption: true },
            ),
          ),
        )
      : null;

  const origin = (series) =>
    el(
      "details",
      { class: "origin" },
      el("summary", {}, "Where the numbers come from"),
      facts({
        rubric: series.rubric,
        "rubric hash": series.rubric_hash,
        judge: series.judge,
        "judge hash": series.judge_hash,
        requests: count(series.requests),
        tokens: count(series.tokens),
        ...(series.cost === null ? {} : { cost: series.cost }),
      }),
      details(
        "All that the scorecards say of it",
        series.provenance.map((one) => facts(one)),
      ),
    );

  const about = (summary) => {
    const judges = new Set(summary.series.map((one) => one.judge));
    const rubrics = new Set(summary.series.map((one) => one.rubric));
    return (
      `${plural(summary.cards, "scorecard")} of ${plural(summary.conversations, "conversation")}` +
      ` · ${[...rubrics].join(", ")} · judge ${[...judges].join(", ")}`
    );
  };

  const overview = (summary) => {
    const home = byId("overview");
    home.append(el("p", { id: "about" }, about(summary)));
    for (const note of summary.notes) home.append(el("p", { class: "note" }, note));
    const trust = kardia.sections.gists(summary.sections);
    if (trust) home.append(trust);
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
      ["vetoes", (one) => (one.required || one.vetoes ? one.vetoes : ""), true],
    ].filter(([, cell, optional]) => !optional || series.criteria.some((one) => cell(one)));
    return el(
      "div",
      { class: "sheet" },
      table(
        `Criteria of ${nameOf(series)} at a glance; a value of 1 is good`,
        columns.map(([name]) => name),
        series.criteria.map((one) => columns.map(([, cell, optional]) => (optional && cell(one) !== "" ? count(cell(one)) : cell(one)))),
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
        said("Levels", criterion.id),
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

  const navigation = (summary) => {
    const targets = [
      ["overview", "Overview"],
      ["criteria", "Criteria"],
      ...summary.sections.map((one) => [one.id, one.nav]),
      ["cards", "Scorecards"],
    ];
    byId("nav").append(...targets.map(([id, name]) => el("a", { href: `#${id}` }, name)));
  };

  // onShow: the cards at a level; onRead: the card of an id
  const start = (summary, onShow, onRead) => {
    show = onShow;
    navigation(summary);
    overview(summary);
    criteria(summary);
    byId("sections").append(...summary.sections.map((one) => kardia.sections.section(one, onRead)));
    byId("foot").append(
      `Made by kardia ${summary.kardia} of ${summary.file}. This page is one file and asks no network; `,
      "it holds the texts of conversations: treat it as you treat those.",
    );
  };

  return { nameOf, start };
})();
