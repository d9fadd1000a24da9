// Charts, by Chart.js. Each is drawn when it comes into sight, in the page's colours, and has its figures in a table
// beside it: to a screen reader the canvas is one picture with a label.
kardia.charts = (() => {
  const { el } = kardia.dom;
  const NARROW = 560; // pixels of the window: less than a name and its line need beside each other
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

  // labels and how often each; with `scale`, the ends of an axis of numbers, the labels are the bars' middles on it
  const bars = (label, labels, counts, { height = 130, x = "", scale = null } = {}) =>
    add("bars", label, height, () => ({
      type: "bar",
      data: {
        labels: scale ? undefined : labels,
        datasets: [
          {
            data: scale ? counts.map((n, at) => ({ x: labels[at], y: n })) : counts,
            backgroundColor: colour("accent"),
            borderRadius: 2,
            categoryPercentage: scale ? 1 : 0.94,
            barPercentage: 0.94,
            maxBarThickness: scale ? undefined : 64,
          },
        ],
      },
      options: {
        ...common(),
        scales: {
          x: axis(x, {
            ...(scale ? { type: "linear", min: scale[0], max: scale[1], offset: false } : {}),
            grid: { display: false },
            ticks: { maxRotation: 0, autoSkipPadding: 12, ...(scale ? { stepSize: 0.1 } : {}) },
          }),
          y: axis("", {
            beginAtZero: true,
            ticks: { maxTicksLimit: 4, precision: 0 },
            border: { display: false },
          }),
        },
        plugins: {
          legend: { display: false },
          tooltip: {
            displayColors: false,
            callbacks: scale ? { title: ([item]) => span(labels, item.dataIndex, scale) } : {},
          },
        },
      },
    }));

  const span = (middles, at, [low, high]) => {
    const half = (high - low) / middles.length / 2;
    return `${(middles[at] - half).toFixed(2)} to ${(middles[at] + half).toFixed(2)}`;
  };

  // rows of { name, value, low, high }: a point with its interval, one line each; `zero` draws where nothing differs.
  // Where there is little room, a name stands above its line
  const intervals = (label, rows, { min, max, zero = null, x = "" } = {}) => {
    const shown = rows.filter((row) => row.value !== null && row.value !== undefined);
    if (!shown.length) return null;
    const narrow = window.innerWidth < NARROW;
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
          const [across, down] = [scales.x.getPixelForValue(row.value), scales.y.getPixelForValue(place)];
          ctx.fillStyle = colour(row.warn ? "warn" : "accent");
          ctx.beginPath();
          if (row.warn) {
            // another shape, for who does not see the other colour
            for (const [a, b] of [[0, -7], [7, 0], [0, 7], [-7, 0]]) ctx.lineTo(across + a, down + b);
          } else {
            ctx.arc(across, down, 5, 0, 2 * Math.PI);
          }
          ctx.fill();
        });
      },
    };
    return add("intervals", label, 56 + (narrow ? 46 : 28) * shown.length, () => ({
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
        layout: { padding: { left: narrow ? 8 : 0, right: 10 } },
        scales: {
          x: axis(x, { min, max, border: { display: false } }),
          y: axis("", {
            grid: { display: false },
            ticks: { autoSkip: false, mirror: narrow, labelOffset: narrow ? -16 : 0, padding: narrow ? 0 : 8, z: 1 },
          }),
        },
        plugins: {
          legend: { display: false },
          tooltip: { displayColors: false, callbacks: { label: (item) => shown[item.dataIndex].text ?? "" } },
        },
      },
      plugins: [points],
    }));
  };

  // lists of [x, y] by name, or [x, y, n] where a point stands for n: the more, the larger; and the diagonal on which
  // expected is found
  const lines = (label, series, options) =>
    add("lines", label, options.diagonal ? 260 : 280, () => curves(series, options));

  const curves = (series, { x = "", y = "", diagonal = false, min, max }) => {
    const most = Math.max(1, ...Object.values(series).flatMap((points) => points.map((point) => point[2] ?? 1)));
    const drawn = Object.entries(series).map(([name, points], at) => ({
      label: name,
      data: points.map(([a, b, n]) => ({ x: a, y: b, n })),
      showLine: true,
      clip: 8,
      borderColor: colour(at ? "warn" : "accent"),
      backgroundColor: colour(at ? "warn" : "accent"),
      pointStyle: at ? "rect" : "circle",
      borderWidth: 1.5,
      pointRadius: points.map((point) => (point[2] === undefined ? 4 : 2.5 + 4 * Math.sqrt(point[2] / most))),
    }));
    const expected = {
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
      pointStyle: "line",
    };
    return {
      type: "scatter",
      data: { datasets: diagonal ? [...drawn, expected] : drawn },
      options: {
        ...common(),
        scales: {
          x: axis(x, { min, max, ticks: diagonal ? { stepSize: 0.2 } : {} }),
          y: axis(y, diagonal ? { min, max, ticks: { stepSize: 0.2 } } : {}),
        },
        plugins: {
          legend: {
            display: drawn.length > 1,
            position: "bottom",
            labels: { usePointStyle: true, boxHeight: 7 },
          },
          tooltip: {
            displayColors: false,
            callbacks: {
              label: ({ dataset, raw }) =>
                `${dataset.label}: ${raw.x.toFixed(2)}, ${raw.y.toFixed(2)}${raw.n === undefined ? "" : ` (n = ${raw.n})`}`,
            },
          },
        },
      },
    };
  };

  return { bars, intervals, lines };
})();
