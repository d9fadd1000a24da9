// One scorecard, opened: the conversation with the evidence marked in it, and each level with its reason.
kardia.card = (() => {
  const { byId, details, el, facts, number } = kardia.dom;
  const { store } = kardia;
  let home = null;
  let turn = 0;
  let leave = () => {};
  let step = () => {};

  // where a quotation stands in a text: letter by letter, else with any white space; null where it does not
  const placeOf = (text, quote) => {
    const at = text.indexOf(quote);
    if (at >= 0) return [at, at + quote.length];
    const words = quote
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
    if (!words[0]) return null;
    const match = new RegExp(words.join("\\s+"), "u").exec(text);
    return match ? [match.index, match.index + match[0].length] : null;
  };

  // a text as nodes, with the quotations in it as <mark>; quotes: [{ key, quote, of }]
  const marked = (text, quotes) => {
    const spans = quotes.map((one) => ({ ...one, place: placeOf(text, one.quote) })).filter((one) => one.place);
    const edges = [...new Set([0, text.length, ...spans.flatMap((one) => one.place)])].sort((a, b) => a - b);
    return edges.slice(0, -1).map((from, at) => {
      const to = edges[at + 1];
      const over = spans.filter((one) => one.place[0] <= from && one.place[1] >= to);
      const part = text.slice(from, to);
      if (!over.length) return part;
      const mark = el("mark", { tabindex: "-1", title: `Evidence: ${over.map((one) => one.of).join(", ")}` }, part);
      mark.dataset.keys = over.map((one) => one.key).join(" ");
      return mark;
    });
  };

  const message = (role, text, { judged = false, quotes = [] } = {}) =>
    el(
      "li",
      { class: `message ${role} ${judged ? "judged" : ""}` },
      el("span", { class: "role" }, role, judged ? " · judged" : ""),
      el("p", { dir: "auto" }, text === "" ? "(empty)" : marked(text, quotes)),
    );

  const talk = (record, quotes) => {
    const before = record.c || [];
    const after = record.a || [];
    if (record.t === null && !record.c) {
      return el("p", { class: "note" }, "The scorecards were written without texts.");
    }
    if (record.k === "conversation" && record.c) {
      return el(
        "ol",
        { class: "talk" },
        before.map(([role, text]) => message(role, text, { quotes })),
      );
    }
    return [
      record.c ? null : el("p", { class: "muted" }, "What was said before is not in this report: make it with --data."),
      el(
        "ol",
        { class: "talk" },
        before.map(([role, text]) => message(role, text)),
        message(record.k === "conversation" ? "conversation" : "assistant", record.t ?? "", { judged: true, quotes }),
        after.map(([role, text]) => message(role, text)),
      ),
      record.w === undefined
        ? null
        : details(
            "The reply as it was written, with thinking and tags",
            el("p", { class: "whole", dir: "auto" }, marked(record.w, quotes)),
          ),
    ];
  };

  const pips = (criterion, level) => {
    const at = criterion ? criterion.levels.indexOf(level) : -1;
    if (at < 0 || criterion.levels.length > 11) return null;
    return el(
      "span",
      { class: "pips", "aria-hidden": "true" },
      criterion.levels.map((_, place) => el("i", { class: place === at ? "on" : null })),
    );
  };

  const levelLine = (criterion, level, status) => {
    if (status !== "scored") return el("span", { class: "level none" }, status);
    const levels = criterion ? criterion.levels : [];
    const ordinal = levels.length > 2 && levels.every((one) => /^-?\d+$/.test(one));
    return el(
      "span",
      { class: "level" },
      pips(criterion, level),
      ordinal ? `level ${level} of ${levels[0]}–${levels.at(-1)}` : String(level),
    );
  };

  const jump = (key) => {
    const mark = [...home.querySelectorAll("mark")].find((one) => one.dataset.keys.split(" ").includes(key));
    if (!mark) return;
    const closed = mark.closest("details");
    if (closed) closed.open = true;
    mark.focus({ preventScroll: true });
    mark.scrollIntoView({ block: "center", behavior: "auto" });
  };

  const shares = (probabilities) =>
    Object.entries(probabilities)
      .map(([level, share]) => `${level}: ${(100 * share).toFixed(0)} %`)
      .join(", ");

  const judgment = (series, vetoedBy, told) => {
    const [at, id, status, level, value, reason, evidence, probabilities, samples, error, dropped] = told;
    const criterion = at === null ? null : series.criteria[at];
    const parts = id.split(".");
    const name = store.STATUSES[status];
    const means = criterion && level ? criterion.described[level] : null;
    return el(
      "li",
      { class: `judgment ${vetoedBy.includes(id) ? "warn" : ""}` },
      el(
        "div",
        { class: "verdict" },
        el(
          "h5",
          {},
          el(
            "span",
            { class: "muted" },
            parts
              .slice(0, -1)
              .map((one) => `${one}.`)
              .join(""),
          ),
          parts.at(-1),
          vetoedBy.includes(id) ? el("span", { class: "badge warn" }, "vetoes the card") : null,
        ),
        levelLine(criterion, level, name),
      ),
      reason ? el("p", { class: "reason", dir: "auto" }, reason) : null,
      evidence && evidence.length
        ? el(
            "ul",
            { class: "evidence" },
            evidence.map((quote, place) =>
              el(
                "li",
                {},
                el(
                  "button",
                  { type: "button", class: "link", dir: "auto", on: { click: () => jump(`${id}:${place}`) } },
                  `“${quote}”`,
                ),
              ),
            ),
          )
        : null,
      error ? el("p", { class: "muted", dir: "auto" }, error) : null,
      probabilities ? el("p", { class: "muted" }, `Probabilities: ${shares(probabilities)}`) : null,
      samples ? el("p", { class: "muted" }, `Samples: ${samples.map((one) => one ?? "none").join(", ")}`) : null,
      dropped ? el("p", { class: "muted" }, `The judge was not shown the oldest ${dropped} messages.`) : null,
      criterion && (criterion.question || means)
        ? details(
            "What was asked",
            el("p", { dir: "auto" }, criterion.question),
            means ? el("p", { class: "muted", dir: "auto" }, `Level ${level}: ${means}`) : null,
            el("p", { class: "muted" }, `Value: ${number(value ?? null)}`),
          )
        : null,
    );
  };

  const quotesOf = (record) =>
    record.j.flatMap((told) =>
      (told[6] || []).map((quote, place) => ({ key: `${told[1]}:${place}`, quote, of: told[1] })),
    );

  const heading = (card, record, series) => {
    const { index } = store;
    const status = store.CARD_STATUSES[Number(index.statuses[card])];
    const button = (text, label, react, id) =>
      el("button", { type: "button", "aria-label": label, id, on: { click: react } }, text);
    return el(
      "header",
      { class: "cardhead" },
      el(
        "div",
        { class: "tools" },
        button("← List", "Back to the list", leave, "back"),
        button("↑", "Previous scorecard", () => step(-1)),
        button("↓", "Next scorecard", () => step(1)),
      ),
      el("h3", { id: "card-h", dir: "auto" }, index.ids[card]),
      el(
        "p",
        { class: "result" },
        el("strong", { class: "score" }, index.scores[card] === null ? "no score" : number(index.scores[card], 3)),
        ` ${status}`,
        record.v.length ? el("span", { class: "badge warn" }, `vetoed by ${record.v.join(", ")}`) : null,
      ),
      el(
        "p",
        { class: "muted" },
        `${kardia.overview.nameOf(series)}`,
        index.groups && index.groups[card] !== null ? ` · group ${index.groups[card]}` : "",
      ),
    );
  };

  const guard = (record) =>
    record.g && record.g.findings && record.g.findings.length
      ? el(
          "div",
          { class: "finding warn" },
          el("p", {}, "The guard found that this text addresses the judge."),
          facts(record.g),
        )
      : null;

  const show = async (card, focus = true) => {
    turn += 1;
    const mine = turn;
    const record = await store.record(card);
    if (mine !== turn) return;
    const series = store.summary.series[store.seriesOf(card)];
    home.replaceChildren(
      heading(card, record, series),
      guard(record) ?? "",
      el(
        "div",
        { class: "halves" },
        el(
          "section",
          { "aria-label": "Conversation" },
          el("h4", { class: "half" }, "Conversation"),
          talk(record, quotesOf(record)),
          record.d && Object.keys(record.d).length ? details("Metadata", facts(record.d)) : null,
        ),
        el(
          "section",
          { "aria-label": "Levels and reasons" },
          el("h4", { class: "half" }, "Levels and reasons"),
          el(
            "ol",
            { class: "judgments" },
            record.j.map((told) => judgment(series, record.v, told)),
          ),
        ),
      ),
      details("Where this score comes from", facts({ ...store.index.provenance[record.p], usage: record.u ?? null })),
    );
    home.hidden = false;
    home.scrollTop = 0;
    cover(true);
    byId("hint").hidden = true;
    document.body.classList.add("reading");
    if (focus) home.focus({ preventScroll: true });
  };

  // on a phone the card lies over the page: what is below it cannot be reached
  const cover = (covered) => {
    const over = covered && window.matchMedia("(max-width: 860px)").matches;
    const below = document.querySelectorAll(".top, #overview, #criteria, #sections, #cards-h, #query, #list, footer");
    for (const one of below) one.inert = over;
  };

  const hide = () => {
    turn += 1;
    home.hidden = true;
    home.replaceChildren();
    cover(false);
    byId("hint").hidden = false;
    document.body.classList.remove("reading");
  };

  const start = (onLeave, onStep) => {
    home = byId("card");
    leave = onLeave;
    step = onStep;
  };

  return { hide, show, start, isOpen: () => !home.hidden };
})();
