// Charts, by Chart.js. Each is drawn when it comes into sight, in the page's colours, and has its figures in a table
// beside it: to a screen reader the canvas is one picture with a label.
kardia.charts = (() => {
  const { el } = kardia.dom;
  const drawn = new Map();
  const waiting = new Map();

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

  // one a frame, so that scrolling past many does not wait for all of them
  const queue = [];
  const next = () => {
    const canvas = queue.shift();
    if (queue.length) requestAnimationFrame(next);
    draw(canvas);
  };
  const seen = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        queue.push(entry.target);
        if (queue.length === 1) requestAnimationFrame(next);
      }
    },
    { rootMargin: "400px" },
  );

  const draw = (canvas) => {
    const configure = waiting.get(canvas);
    if (!configure || drawn.has(canvas)) return;
    seen.unobserve(canvas);
    Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
    Chart.defaults.font.size = 12;
    Chart.defaults.color = colour("muted");
    drawn.set(canvas, new Chart(canvas, configure()));
  };

  kardia.theme.onChange(() => {
    const printing = document.documentElement.dataset.printing === "true";
    const again = printing ? [...waiting.keys()] : [...drawn.keys()];
    for (const canvas of again) {
      const before = drawn.get(canvas);
      if (before) before.destroy();
      drawn.delete(canvas);
      draw(canvas);
    }
  });

  const add = (kind, label, height, configure) => {
    const canvas = el("canvas", { role: "img", "aria-label": label });
    const box = el("div", { class: `chart ${kind}` }, canvas);
    box.style.height = `${height}px`;
    waiting.set(canvas, configure);
    seen.observe(canvas);
    return box;
  };

  const common = () => ({
    animation: false,
    responsive: true,
    maintainAspectRatio: false,
    devicePixelRatio: Math.max(2, window.devicePixelRatio || 1),
    plugins: { legend: { display: false }, tooltip: { displayColors: false } },
  });

  const axis = (title, more = {}) => ({
    border: { color: colour("line") },
    grid: { color: colour("line"), drawTicks: false },
    title: { display: Boolean(title), text: title },
    ...more,
  });

  // labels and how often each; counts is a list
  const bars = (label, labels, counts, { height = 130, x = "", share = false, faint = [] } = {}) =>
    add("bars", label, height, () => ({
      type: "bar",
      data: {
        labels,
        datasets: [
          {
            data: counts,
            backgroundColor: counts.map((_, at) => colour(faint.includes(at) ? "faint" : "accent")),
            borderRadius: 2,
            categoryPercentage: 0.94,
            barPercentage: 0.94,
            maxBarThickness: 64,
          },
        ],
      },
      options: {
        ...common(),
        scales: {
          x: axis(x, { grid: { display: false }, ticks: { maxRotation: 0, autoSkipPadding: 12 } }),
          y: axis("", {
            beginAtZero: true,
            ticks: { maxTicksLimit: 4, precision: share ? undefined : 0 },
            border: { display: false },
          }),
        },
      },
    }));

  // rows of { name, value, low, high }: a point with its interval, one line each; `zero` draws where nothing differs
  const intervals = (label, rows, { min, max, zero = null, x = "" } = {}) => {
    const shown = rows.filter((row) => row.value !== null && row.value !== undefined);
    if (!shown.length) return null;
    const points = {
      id: "points",
      afterDatasetsDraw(chart) {
        const { ctx, scales, chartArea } = chart;
        if (zero !== null) {
          const at = scales.x.getPixelForValue(zero);
          ctx.strokeStyle = colour("muted");
          ctx.setLineDash([3, 3]);
          ctx.beginPath();
          ctx.moveTo(at, chartArea.top);
          ctx.lineTo(at, chartArea.bottom);
          ctx.stroke();
          ctx.setLineDash([]);
        }
        shown.forEach((row, place) => {
          ctx.fillStyle = colour(row.warn ? "warn" : "accent");
          ctx.beginPath();
          ctx.arc(scales.x.getPixelForValue(row.value), scales.y.getPixelForValue(place), 5, 0, 2 * Math.PI);
          ctx.fill();
        });
      },
    };
    return add("intervals", label, 56 + 28 * shown.length, () => ({
      type: "bar",
      data: {
        labels: shown.map((row) => row.name),
        datasets: [
          {
            data: shown.map((row) => [row.low ?? row.value, row.high ?? row.value]),
            backgroundColor: shown.map((row) => colour(row.warn ? "warn" : "accent")),
            barThickness: 3,
          },
        ],
      },
      options: {
        ...common(),
        indexAxis: "y",
        scales: {
          x: axis(x, { min, max, border: { display: false } }),
          y: axis("", { grid: { display: false }, ticks: { autoSkip: false } }),
        },
        plugins: {
          legend: { display: false },
          tooltip: { displayColors: false, callbacks: { label: (item) => shown[item.dataIndex].text ?? "" } },
        },
      },
      plugins: [points],
    }));
  };

  // lists of [x, y] by name, and the diagonal on which expected is found
  const lines = (label, series, { height = 280, x = "", y = "", diagonal = false, min, max } = {}) =>
    add("lines", label, height, () => ({
      type: "scatter",
      data: {
        datasets: [
          ...Object.entries(series).map(([name, points], at) => ({
            label: name,
            data: points.map(([a, b]) => ({ x: a, y: b })),
            showLine: true,
            borderColor: colour(at ? "warn" : "accent"),
            backgroundColor: colour(at ? "warn" : "accent"),
            pointStyle: at ? "rect" : "circle",
            borderWidth: 2,
            pointRadius: 4,
          })),
          ...(diagonal
            ? [
                {
                  label: "as expected",
                  data: [
                    { x: min, y: min },
                    { x: max, y: max },
                  ],
                  showLine: true,
                  borderColor: colour("muted"),
                  borderDash: [3, 3],
                  borderWidth: 1,
                  pointRadius: 0,
                },
              ]
            : []),
        ],
      },
      options: {
        ...common(),
        scales: { x: axis(x, { min, max }), y: axis(y, diagonal ? { min, max } : {}) },
        plugins: {
          legend: {
            display: Object.keys(series).length + Number(diagonal) > 1,
            position: "bottom",
            labels: { usePointStyle: true },
          },
        },
      },
    }));

  return { bars, intervals, lines };
})();
