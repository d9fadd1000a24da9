// Puts the page together.
(() => {
  const { byId, count, el, plural } = kardia.dom;
  const { card, list, overview, query, store, theme } = kardia;
  const PRINTED = 200;

  const trouble = (problem) => {
    const why =
      "DecompressionStream" in window
        ? `This report cannot be shown: ${problem.message || problem}`
        : "This report needs a newer browser (Chrome 80, Firefox 113, Safari 16.4 or later).";
    byId("trouble").replaceChildren(el("p", { class: "note" }, why));
  };

  const say = ({ done, share }, n) => {
    const { summary } = store;
    const of = n === summary.listed ? plural(n, "scorecard") : `${count(n)} of ${plural(summary.listed, "scorecard")}`;
    const sample = summary.listed < summary.cards ? ` (a sample of ${count(summary.cards)})` : "";
    byId("count").textContent = done ? of + sample : `Searching, ${Math.round(100 * share)} % … ${of} so far`;
  };

  const update = (state) => {
    const found = query.result();
    list.set(found, state.fresh);
    say(state, found.length);
  };

  const open = async (which) => {
    if (which === null || which === undefined) return;
    list.mark(which);
    try {
      await card.show(which);
    } catch (problem) {
      trouble(problem);
    }
  };

  const close = () => {
    card.hide();
    list.mark(null);
    list.focus();
  };

  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "Escape") {
      if (card.isOpen()) close();
      else if (typing) list.focus();
    } else if (event.key === "/" && !typing) {
      byId("words").focus();
      byId("words").select();
    } else if ((event.key === "j" || event.key === "k") && byId("card").contains(event.target)) {
      open(list.step(event.key === "j" ? 1 : -1));
    } else if (event.key === "Enter" && event.target.id === "words") {
      list.focus();
    } else {
      return;
    }
    event.preventDefault();
  };

  const paper = () => {
    window.addEventListener("beforeprint", () => {
      byId("cards").append(el("div", { id: "printed" }, list.printed(PRINTED)));
    });
    window.addEventListener("afterprint", () => byId("printed")?.remove());
  };

  const start = async () => {
    theme.start();
    try {
      await store.open();
    } catch (problem) {
      trouble(problem);
      return;
    }
    overview.start(store.summary, (series, criterion, level) => {
      query.show(series, criterion, level);
      byId("cards").scrollIntoView();
      list.focus();
    });
    list.start(open);
    card.start(close, (by) => open(list.step(by)));
    query.start(store.summary, update);
    update({ done: true });
    document.addEventListener("keydown", keys);
    paper();
    document.documentElement.dataset.ready = "true";
    performance.mark("kardia-ready");
  };

  start();
})();
