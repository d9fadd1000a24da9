// The list of scorecards. Only the rows in sight are elements: fifty thousand scroll like fifty.
kardia.list = (() => {
  const { byId, count, el, number } = kardia.dom;
  const { store } = kardia;
  const ROW = 88; // pixels; the style sheet says the same
  const MORE = 6; // rows beyond each edge
  let cards = [];
  let active = -1; // a place in the list
  let opened = null; // a card
  let home = null;
  let space = null;
  let open = () => {};
  const rows = new Map();

  const badges = (card) => {
    const { index } = store;
    const status = store.CARD_STATUSES[Number(index.statuses[card])];
    return [
      index.vetoes.has(card) ? el("span", { class: "badge warn" }, "vetoed") : null,
      status === "scored" ? null : el("span", { class: "badge" }, status),
      index.flags[card] === "1" ? el("span", { class: "badge warn" }, "guard") : null,
    ];
  };

  const make = (place) => {
    const card = cards[place];
    const { index, summary } = store;
    const row = el(
      "div",
      {
        class: `row ${place === active ? "active" : ""}`,
        role: "option",
        id: `row-${place}`,
        "aria-setsize": cards.length,
        "aria-posinset": place + 1,
        "aria-selected": String(card === opened),
        on: {
          click: () => {
            move(place, false);
            open(cards[place]);
          },
        },
      },
      el(
        "span",
        { class: "head" },
        el("span", { class: "id" }, index.ids[card]),
        badges(card),
        el("span", { class: "score" }, number(index.scores[card])),
      ),
      el("span", { class: "excerpt", dir: "auto" }, index.excerpts[card] || "no text"),
      summary.series.length > 1
        ? el("span", { class: "of" }, kardia.overview.nameOf(summary.series[store.seriesOf(card)]))
        : null,
    );
    row.style.transform = `translateY(${place * ROW}px)`;
    return row;
  };

  const render = () => {
    const first = Math.max(0, Math.floor(home.scrollTop / ROW) - MORE);
    const last = Math.min(cards.length - 1, Math.ceil((home.scrollTop + home.clientHeight) / ROW) + MORE);
    for (const [place, row] of rows) {
      if (place < first || place > last) {
        row.remove();
        rows.delete(place);
      }
    }
    for (let place = first; place <= last; place += 1) {
      if (!rows.has(place)) {
        const row = make(place);
        rows.set(place, row);
        space.append(row);
      }
    }
  };

  const again = (place) => {
    const row = rows.get(place);
    if (!row) return;
    const fresh = make(place);
    row.replaceWith(fresh);
    rows.set(place, fresh);
  };

  const reveal = (place) => {
    const top = place * ROW;
    if (top < home.scrollTop) home.scrollTop = top;
    else if (top + ROW > home.scrollTop + home.clientHeight) home.scrollTop = top + ROW - home.clientHeight;
    render();
  };

  const move = (place, show = true) => {
    if (!cards.length) return;
    const before = active;
    active = Math.min(Math.max(place, 0), cards.length - 1);
    if (show) reveal(active);
    again(before);
    again(active);
    home.setAttribute("aria-activedescendant", `row-${active}`);
  };

  const set = (found, fromTop) => {
    cards = found;
    const place = opened === null ? -1 : cards.indexOf(opened);
    active = place >= 0 ? place : Math.min(active, cards.length - 1);
    if (active < 0) home.removeAttribute("aria-activedescendant");
    else home.setAttribute("aria-activedescendant", `row-${active}`);
    space.style.height = `${cards.length * ROW}px`;
    for (const row of rows.values()) row.remove();
    rows.clear();
    if (fromTop) home.scrollTop = 0;
    render();
  };

  const mark = (card) => {
    const before = opened === null ? -1 : cards.indexOf(opened);
    opened = card;
    if (before >= 0) again(before);
    const place = card === null ? -1 : cards.indexOf(card);
    if (place >= 0) move(place);
  };

  const step = (by) => {
    const place = opened === null ? -1 : cards.indexOf(opened);
    const next = place + by;
    return next >= 0 && next < cards.length ? cards[next] : null;
  };

  const keys = (event) => {
    const page = Math.max(1, Math.floor(home.clientHeight / ROW) - 1);
    const to = {
      ArrowDown: active + 1,
      ArrowUp: active - 1,
      j: active + 1,
      k: active - 1,
      PageDown: active + page,
      PageUp: active - page,
      Home: 0,
      End: cards.length - 1,
    }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to !== undefined) move(to);
    else if ((event.key === "Enter" || event.key === " ") && active >= 0) open(cards[active]);
    else return;
    event.preventDefault();
  };

  const start = (onOpen) => {
    open = onOpen;
    home = byId("list");
    space = el("div", { class: "space", role: "presentation" });
    home.append(space);
    let waiting = false;
    home.addEventListener(
      "scroll",
      () => {
        if (waiting) return;
        waiting = true;
        requestAnimationFrame(() => {
          waiting = false;
          render();
        });
      },
      { passive: true },
    );
    home.addEventListener("keydown", keys);
    home.addEventListener("focus", () => {
      if (active < 0) move(0);
    });
    new ResizeObserver(render).observe(home);
  };

  // for paper: the first of what the list holds, as a table
  const printed = (most) =>
    kardia.dom.table(
      cards.length > most ? `The first ${count(most)} of ${count(cards.length)} scorecards` : "Scorecards",
      ["id", "score", "status", "reply"],
      cards
        .slice(0, most)
        .map((card) => [
          store.index.ids[card],
          number(store.index.scores[card]),
          store.CARD_STATUSES[Number(store.index.statuses[card])] + (store.index.vetoes.has(card) ? ", vetoed" : ""),
          store.index.excerpts[card],
        ]),
      { right: [1] },
    );

  return { focus: () => home.focus(), mark, printed, set, start, step };
})();
