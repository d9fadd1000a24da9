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
      document.querySelector(".panes").scrollIntoView({ block: "nearest" });
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
    const folded = () => document.querySelectorAll("details.origin");
    window.addEventListener("beforeprint", () => {
      byId("cards").append(el("div", { id: "printed" }, list.printed(PRINTED)));
      for (const one of folded()) {
        one.dataset.was = String(one.open);
        one.open = true; // paper has no other place to say where its numbers come from
      }
    });
    window.addEventListener("afterprint", () => {
      byId("printed")?.remove();
      for (const one of folded()) one.open = one.dataset.was === "true";
    });
  };

  const show = (series, criterion, level) => {
    query.show(series, criterion, level);
    byId("cards").scrollIntoView();
    list.focus();
  };

  // whether there is a scorecard of this id; opens it where asked
  const read = (id, wanted = false) => {
    const which = store.index.ids.indexOf(id);
    if (wanted && which >= 0) {
      query.reset();
      open(which);
    }
    return which >= 0;
  };

  // the section that one reads is marked in the navigation
  const follow = () => {
    const links = new Map([...byId("nav").children].map((link) => [link.hash.slice(1), link]));
    const seen = new IntersectionObserver(
      (entries) => {
        for (const { target, isIntersecting } of entries) {
          const link = links.get(target.id);
          if (isIntersecting) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        }
      },
      { rootMargin: "-30% 0px -70% 0px" },
    );
    for (const id of links.keys()) seen.observe(byId(id));
  };

  const start = async () => {
    theme.start();
    try {
      await store.open();
    } catch (problem) {
      trouble(problem);
      return;
    }
    overview.start(store.summary, show, read);
    list.start(open);
    card.start(close, (by) => open(list.step(by)));
    query.start(store.summary, update);
    update({ done: true });
    document.addEventListener("keydown", keys);
    paper();
    follow();
    document.documentElement.dataset.ready = "true";
    performance.mark("kardia-ready");
  };

  start();
})();
