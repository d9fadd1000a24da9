// What the list shows: filters, the order, and words that are searched in the texts, chunk by chunk.
kardia.query = (() => {
  const { byId, el } = kardia.dom;
  const { store } = kardia;
  const ALL = "";
  const AHEAD = 4;
  let changed = () => {};
  let found = null; // Uint8Array: 1 where the words stand; null without words
  let turn = 0; // a search that is no longer wanted stops
  let timer = 0;

  const option = (value, text) => el("option", { value }, text);

  const select = (id, label, options) =>
    el("label", { class: "field" }, el("span", {}, label), el("select", { id, name: id }, options));

  const bound = (id, label, value) =>
    el("input", {
      id,
      name: id,
      type: "number",
      min: "0",
      max: "1",
      step: "0.05",
      value,
      inputmode: "decimal",
      "aria-label": label,
    });

  const build = (summary) => {
    const sorts = [
      option("file", "as in the file"),
      option("low", "lowest score first"),
      option("high", "highest score first"),
      option("id", "by id"),
      option("long", "longest reply first"),
      option("short", "shortest reply first"),
    ];
    byId("query").append(
      el(
        "label",
        { class: "field words" },
        el("span", {}, "Search"),
        el("input", {
          id: "words",
          type: "search",
          placeholder: "words in texts, reasons, ids",
          autocomplete: "off",
          spellcheck: "false",
        }),
      ),
      el(
        "details",
        { id: "filters", open: window.innerWidth > 720 },
        el("summary", {}, "Filter and sort"),
        el(
          "div",
          { class: "fields" },
          summary.series.length > 1
            ? select("series", "Rubric", [
                option(ALL, "any"),
                ...summary.series.map((one, at) => option(at, kardia.overview.nameOf(one))),
              ])
            : null,
          select("status", "Status", [option(ALL, "any"), ...store.CARD_STATUSES.map((one, at) => option(at, one))]),
          select("veto", "Veto", []),
          select("criterion", "Criterion", []),
          select("level", "Level", []),
          el(
            "fieldset",
            { class: "field" },
            el("legend", {}, "Score"),
            el("span", { class: "range" }, bound("from", "Lowest score", "0"), "to", bound("to", "Highest score", "1")),
          ),
          select("sort", "Order", sorts),
          el("button", { type: "button", id: "clear" }, "Reset"),
        ),
      ),
    );
    fillCriteria();
  };

  // a level filter is of one series: with several, the first until one is chosen
  const series = () => Number((byId("series") || { value: "0" }).value || 0);

  const fillCriteria = () => {
    const all = store.summary.series[series()].criteria;
    byId("criterion").replaceChildren(option(ALL, "any"), ...all.map((one, at) => option(at, one.id)));
    byId("veto").replaceChildren(
      option(ALL, "any"),
      option("yes", "vetoed"),
      option("no", "not vetoed"),
      ...all
        .map((one, at) => [one, at])
        .filter(([one]) => one.required || one.vetoes)
        .map(([one, at]) => option(at, `by ${one.id}`)),
    );
    fillLevels();
  };

  const fillLevels = () => {
    const chosen = byId("criterion").value;
    const levels = chosen === ALL ? [] : store.summary.series[series()].criteria[Number(chosen)].levels;
    byId("level").replaceChildren(
      option(ALL, "any"),
      ...levels.map((level) => option(`=${level}`, level)),
      ...(chosen === ALL ? [] : Object.values(store.WITHOUT).map((why) => option(`!${why}`, why))),
    );
    byId("level").disabled = chosen === ALL;
  };

  const value = (id) => (byId(id) ? byId(id).value : ALL);

  const edge = (id, otherwise) => {
    const given = parseFloat(value(id));
    return Number.isFinite(given) ? given : otherwise;
  };

  const vetoTest = (chosen, vetoes) => {
    if (chosen === "yes") return (card) => vetoes.has(card);
    if (chosen === "no") return (card) => !vetoes.has(card);
    return (card) => vetoes.has(card) && vetoes.get(card).includes(Number(chosen));
  };

  // one test for each filter that is set
  const tests = () => {
    const { index } = store;
    const made = [];
    const [status, veto, criterion, level] = ["status", "veto", "criterion", "level"].map(value);
    const ofSeries = value("series") !== ALL || criterion !== ALL || (veto !== ALL && !["yes", "no"].includes(veto));
    if (index.series && ofSeries) made.push((card) => index.series[card] === series());
    if (status !== ALL) made.push((card) => index.statuses[card] === status);
    if (veto !== ALL) made.push(vetoTest(veto, index.vetoes));
    if (criterion !== ALL && level !== ALL) {
      const column = index.levels[series()][Number(criterion)];
      const sign = store.signOf(series(), Number(criterion), level);
      made.push((card) => column[card] === sign);
    }
    const [low, high] = [edge("from", 0), edge("to", 1)];
    if (low > 0 || high < 1) {
      made.push((card) => index.scores[card] !== null && index.scores[card] >= low && index.scores[card] <= high);
    }
    if (found) made.push((card) => found[card] === 1);
    return made;
  };

  const orders = () => {
    const { ids, lengths, scores } = store.index;
    // what has no score comes last, whichever way the others go
    const byScore = (sign) => (a, b) => {
      if (scores[a] === null || scores[b] === null) return (scores[a] === null) - (scores[b] === null) || a - b;
      return sign * (scores[a] - scores[b]) || a - b;
    };
    const collator = new Intl.Collator("en", { numeric: true });
    return {
      low: byScore(1),
      high: byScore(-1),
      id: (a, b) => collator.compare(ids[a], ids[b]) || a - b,
      long: (a, b) => lengths[b] - lengths[a] || a - b,
      short: (a, b) => lengths[a] - lengths[b] || a - b,
    };
  };

  const result = () => {
    const made = tests();
    const cards = [];
    for (let card = 0; card < store.index.n; card += 1) if (made.every((test) => test(card))) cards.push(card);
    const order = orders()[value("sort")];
    return order ? cards.sort(order) : cards;
  };

  const folded = (text) => text.normalize("NFC").toLowerCase();

  const termsOf = (text) =>
    [...folded(text).matchAll(/"([^"]+)"|(\S+)/g)]
      .map((match) => match[1] || match[2])
      .filter((term) => term !== '"')
      // only what JSON writes as it is can be looked for in JSON; a letter with a mark may be written in two ways
      .map((term) => ({ term, rough: /^[ !#-.0-[\]-~]+$/.test(term) ? new RegExp(plain(term), "i") : null }));

  const plain = (term) => term.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  // every text of a record, however deep it lies
  const textOf = (data, into) => {
    if (typeof data === "string") into.push(data);
    else if (Array.isArray(data)) for (const one of data) textOf(one, into);
    else if (data && typeof data === "object") for (const one of Object.values(data)) textOf(one, into);
    return into;
  };

  // a first look at the JSON, which is quick, leaves few to be looked at closely
  const stands = (terms, card, line) => {
    const about = folded(`${store.index.ids[card]}\n${store.index.groups?.[card] ?? ""}`);
    if (!terms.every(({ term, rough }) => !rough || rough.test(line) || about.includes(term))) return false;
    const words = { ...JSON.parse(line), p: null, u: null }; // not where it comes from, and what it took
    const text = `${about}\n${folded(textOf(words, []).join("\n"))}`;
    return terms.every(({ term }) => text.includes(term));
  };

  const search = async () => {
    turn += 1;
    const mine = turn;
    const terms = termsOf(value("words"));
    if (!terms.length) {
      found = null;
      changed({ done: true, fresh: true });
      return;
    }
    let fresh = true; // the first answer to a new question begins at the top
    found = new Uint8Array(store.index.n);
    const ahead = new Map(); // chunks are inflated beside the main thread
    let shown = performance.now();
    for (let number = 0; number < store.chunks(); number += 1) {
      for (let next = number; next < Math.min(number + AHEAD, store.chunks()); next += 1) {
        if (!ahead.has(next)) ahead.set(next, store.lines(next));
      }
      const lines = await ahead.get(number);
      ahead.delete(number);
      if (mine !== turn) return;
      lines.forEach((line, at) => {
        const card = store.index.starts[number] + at;
        if (stands(terms, card, line)) found[card] = 1;
      });
      if (performance.now() - shown > 150) {
        changed({ done: false, fresh, share: (number + 1) / store.chunks() });
        fresh = false;
        await new Promise((next) => {
          setTimeout(next, 0);
        });
        if (mine !== turn) return;
        shown = performance.now();
      }
    }
    changed({ done: true, fresh });
  };

  const searchSoon = () => {
    clearTimeout(timer);
    timer = setTimeout(search, 180);
  };

  // shows everything, in the file's order
  const reset = () => {
    byId("query").reset();
    fillCriteria();
    search();
  };

  const show = (ofSeries, criterion, level) => {
    byId("query").reset();
    if (byId("series")) byId("series").value = String(ofSeries);
    fillCriteria();
    byId("criterion").value = String(criterion);
    fillLevels();
    byId("level").value = `=${level}`;
    search();
  };

  const start = (summary, onChange) => {
    changed = onChange;
    build(summary);
    byId("query").addEventListener("submit", (event) => event.preventDefault());
    byId("words").addEventListener("input", searchSoon);
    byId("query").addEventListener("change", (event) => {
      if (event.target.id === "words") return;
      if (event.target.id === "series") fillCriteria();
      if (event.target.id === "criterion") fillLevels();
      changed({ done: true, fresh: true });
    });
    byId("from").addEventListener("input", () => changed({ done: true, fresh: true }));
    byId("to").addEventListener("input", () => changed({ done: true, fresh: true }));
    byId("clear").addEventListener("click", reset);
  };

  return { reset, result, show, start };
})();
