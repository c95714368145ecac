// Draws what the page's data holds, and follows the reader's choices. Every text that holds a user's
// name goes in by textContent or is escaped: Plotly reads a little HTML.
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;
  const $ = (selector, inside = document) => inside.querySelector(selector);
  const $$ = (selector, inside = document) => [...inside.querySelectorAll(selector)];
  const make = (tag, properties = {}, ...children) => {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  };
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const calm = window.matchMedia("(prefers-reduced-motion: reduce)");
  const narrow = () => window.innerWidth < 640;
  const hidden = new Set();
  let key = data.measure;
  let motionMode = "value";

  const escaped = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
  const css = (name) => getComputedStyle(root).getPropertyValue(name).trim();
  const color = (method) => css(`--${method.color}`);
  const faded = (hex, alpha) => `rgba(${[1, 3, 5].map((k) => parseInt(hex.slice(k, k + 2), 16)).join(",")},${alpha})`;
  const short = (name, plot) => { const most = plot.clientWidth < 590 ? 14 : 24; return name.length > most ? `${name.slice(0, most - 1)}…` : name; }; // in plots
  const shown = (value, measure, signed = false) => {
    if (value === null || value === undefined) return "–";
    const text = Math.abs(value).toFixed(measure.digits);
    if (Number(text) === 0) return text;
    return (value < 0 ? "−" : signed ? "+" : "") + text;
  };
  const axisName = (measure) => `${measure.name}${measure.unit ? `, ${measure.unit}` : ""}${measure.higherIsBetter ? "" : " (lower is better)"}`;
  const visible = () => data.methods.filter((method) => !hidden.has(method.name));

  // Tables -----------------------------------------------------------------------------------------
  function sortTable(button) {
    const head = button.closest("th");
    const table = button.closest("table");
    const column = [...head.parentNode.children].indexOf(head);
    const before = head.getAttribute("aria-sort");
    const order = before ? (before === "descending" ? "ascending" : "descending") : button.dataset.better;
    for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "descending" ? -1 : 1;
    const text = column === 0;
    const rows = [...table.tBodies[0].rows];
    rows.sort((a, b) => {
      const [one, two] = [a, b].map((row) => row.cells[column].dataset.sort);
      if (text) return sign * one.localeCompare(two);
      if (one === "" || two === "") return (one === "") - (two === "");
      return sign * (Number(one) - Number(two));
    });
    table.tBodies[0].append(...rows);
  }
  for (const button of $$(".sortable thead button")) button.addEventListener("click", () => sortTable(button));

  function fillTable(box, heads, rows) {
    const table = make("table");
    table.append(
      make("thead", {}, make("tr", {}, ...heads.map((head, k) => make("th", { scope: "col", textContent: head, className: k ? "" : "who" })))),
      make("tbody", {}, ...rows.map((cells) => make("tr", {}, ...cells.map((cell, k) => make(k ? "td" : "th", k ? { textContent: cell } : { textContent: cell, scope: "row", className: "who" }))))),
    );
    box.replaceChildren(table);
  }

  // Plots ------------------------------------------------------------------------------------------
  const settings = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]], scrollZoom: false };
  function layout(x, y) {
    const axis = {
      gridcolor: css("--line"), linecolor: css("--line"), zeroline: false, tickcolor: css("--line"), automargin: true,
      title: { font: { size: 13, color: css("--muted") }, standoff: 12 }, tickfont: { size: 12, color: css("--muted") },
      // On a touch screen a drag scrolls the page.
      fixedrange: window.matchMedia("(pointer: coarse)").matches || narrow(),
    };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, hovermode: "closest", dragmode: axis.fixedrange ? false : "zoom",
      font: { family: css("--sans"), color: css("--ink"), size: 13 }, margin: { l: 50, r: 16, t: 12, b: 48 },
      hoverlabel: { bgcolor: css("--card"), bordercolor: css("--line"), font: { family: css("--sans"), color: css("--ink"), size: 13 }, align: "left" },
      xaxis: merged(axis, x), yaxis: merged(axis, y),
    };
  }
  function merged(base, own) {
    return { ...base, ...own, title: typeof own.title === "string" ? { ...base.title, text: own.title } : base.title };
  }
  function draw(id, traces, look, summary, caption) {
    const plot = document.getElementById(id);
    plot.setAttribute("aria-label", summary);
    $("figcaption", plot.parentNode).textContent = caption;
    Plotly.react(plot, traces, look, settings);
  }
  const numbersOf = (id) => $("details .scroll", document.getElementById(id).parentNode);

  function drawCurves() {
    const measure = data.measures[key];
    const steps = measure.clips.map((_, k) => k + 1);
    const traces = [];
    for (const method of visible()) {
      const { per_frame: means, frame_intervals: bounds } = measure.scores[method.name];
      const banded = steps.filter((_, k) => bounds[k]);
      if (banded.length) {
        const low = banded.map((t) => bounds[t - 1][0]);
        const high = banded.map((t) => bounds[t - 1][1]);
        traces.push({ x: [...banded, ...banded.toReversed()], y: [...high, ...low.toReversed()], fill: "toself", fillcolor: faded(color(method), method.kind === "baseline" ? 0.05 : 0.12), line: { width: 0 }, mode: "lines", hoverinfo: "skip" });
      }
    }
    for (const method of visible().toReversed()) {
      const score = measure.scores[method.name];
      traces.push({
        x: steps, y: score.per_frame, name: escaped(method.name), mode: "lines+markers", connectgaps: false,
        line: { color: color(method), dash: method.dash, width: method.kind === "baseline" ? 1.75 : 2.75 },
        marker: { symbol: method.symbol, size: method.kind === "baseline" ? 7 : 8, color: color(method) },
        customdata: steps.map((_, k) => [shown(score.per_frame[k], measure), score.frame_intervals[k] ? `[${score.frame_intervals[k].map((v) => shown(v, measure)).join(", ")}]` : "", measure.clips[k]]),
        hovertemplate: `<b>${escaped(method.name)}</b><br>t+%{x}: <b>%{customdata[0]}</b> ${measure.unit} %{customdata[1]}<br>%{customdata[2]} clips<extra></extra>`,
      });
    }
    // Of methods whose several futures differ: the best and the worst of them, dotted.
    const extremes = data.methods.flatMap((method) => {
      const samples = measure.scores[method.name].samples;
      if (!samples || samples.count < 2) return [];
      return [["best_of_k", "best"], ["worst_of_k", "worst"]].map(([reduction, word]) => ({ method, name: `${method.name}, ${word} of ${samples.count}`, curve: samples.per_frame[reduction] }));
    });
    for (const { method, name, curve } of extremes.filter((e) => visible().includes(e.method))) {
      traces.push({
        x: steps, y: curve, name: escaped(name), mode: "lines", connectgaps: false, showlegend: false, line: { color: color(method), dash: "dot", width: 1.5 },
        customdata: curve.map((v) => shown(v, measure)), hovertemplate: `<b>${escaped(name)}</b><br>t+%{x}: <b>%{customdata}</b> ${measure.unit}<extra></extra>`,
      });
    }
    const at = (k) => data.methods.map((m) => [m.name, measure.scores[m.name].per_frame[k]]).filter(([, v]) => v !== null)
      .sort((a, b) => (measure.higherIsBetter ? b[1] - a[1] : a[1] - b[1]))[0];
    const ends = [...new Set([0, steps.length - 1])].map((k) => [k, at(k)]).filter(([, best]) => best)
      .map(([k, [name, value]]) => `at t+${k + 1} ${name} is best with ${shown(value, measure)}`);
    const look = layout({ title: "predicted frame", tickmode: "array", tickvals: steps, ticktext: steps.map((t) => `t+${t}`), range: [0.7, steps.length + 0.3] }, { title: axisName(measure) });
    draw("curves-plot", traces, look, `${measure.name} of ${data.methods.length} methods by predicted frame: ${ends.join(", ")}.`, `${measure.name}, ${measure.areaName}, ${measure.variantName}.`);
    fillTable(numbersOf("curves-plot"), ["Method", ...steps.map((t) => `t+${t}`)], [...data.methods.map((m) => [m.name, measure.scores[m.name].per_frame]), ...extremes.map((e) => [e.name, e.curve])].map(([name, curve]) => [name, ...curve.map((v) => shown(v, measure))]));
  }

  function binned(pairs) {
    const count = Math.max(1, Math.min(8, Math.floor(pairs.length / 6)));
    const sorted = [...pairs].sort((a, b) => a[0] - b[0]);
    return Array.from({ length: count }, (_, k) => {
      const part = sorted.slice(Math.floor((k * sorted.length) / count), Math.floor(((k + 1) * sorted.length) / count));
      const mean = (index) => part.reduce((sum, pair) => sum + pair[index], 0) / part.length;
      return part.length ? { x: mean(0), y: mean(1), clips: part.length } : null;
    }).filter(Boolean);
  }

  function drawMotion() {
    const measure = data.measures[key];
    const gain = motionMode === "gain" && data.baseline !== null;
    const sign = measure.higherIsBetter ? 1 : -1;
    const value = (name, k) => {
      const own = measure.points[name][k];
      if (!gain || own === null) return own;
      const other = measure.points[data.baseline][k];
      return other === null ? null : sign * (own - other);
    };
    const usable = data.clips.map((_, k) => k).filter((k) => data.motion[k] !== null && data.methods.some((m) => measure.points[m.name][k] !== null));
    const log = Math.min(...usable.map((k) => data.motion[k])) > 0;
    const many = usable.length > 150;
    const points = [];
    const lines = [];
    const table = [];
    let ticks = null;
    for (const method of data.methods) {
      if (gain && method.name === data.baseline) continue;
      const own = usable.filter((k) => value(method.name, k) !== null);
      const trend = binned(own.map((k) => [data.motion[k], value(method.name, k)]));
      if (trend.length) ticks ??= trend;
      table.push([method.name, ...trend.map((bin) => shown(bin.y, measure, gain))]);
      if (hidden.has(method.name)) continue;
      const [ink, base] = [color(method), method.kind === "baseline"];
      points.push({
        x: own.map((k) => data.motion[k]), y: own.map((k) => value(method.name, k)), mode: "markers", name: escaped(method.name),
        marker: { symbol: method.symbol, size: many ? 4 : base ? 5 : 6, color: faded(ink, many ? 0.28 : base ? 0.4 : 0.5) },
        customdata: own.map((k) => [escaped(data.clips[k]), shown(value(method.name, k), measure, gain)]),
        hovertemplate: `<b>${escaped(method.name)}</b>  %{customdata[1]} ${measure.unit}<br>%{customdata[0]}<br>%{x:.2f} % motion<extra></extra>`,
      });
      lines.push({
        x: trend.map((bin) => bin.x), y: trend.map((bin) => bin.y), mode: "lines", name: escaped(method.name), line: { color: ink, dash: method.dash, width: base ? 2 : 3 },
        customdata: trend.map((bin) => [shown(bin.y, measure, gain), bin.clips]),
        hovertemplate: `<b>${escaped(method.name)}</b>  mean %{customdata[0]} ${measure.unit}<br>of %{customdata[1]} clips<extra></extra>`,
      });
    }
    const look = layout(
      { title: (narrow() ? "true motion, %" : "true motion before the frame, % of full scale") + (log ? " (logarithmic)" : ""), type: log ? "log" : "linear", ...(log ? { tickmode: "array", tickvals: [0.1, 0.2, 0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50], ticktext: ["0.1", "0.2", "0.5", "1", "2", "3", "5", "7", "10", "15", "20", "30", "50"] } : {}) },
      { title: gain ? `gain over copy last${measure.unit ? `, ${measure.unit}` : ""}` : axisName(measure), zeroline: gain, zerolinecolor: css("--muted"), zerolinewidth: 1.5 },
    );
    const what = gain ? `Gain in ${measure.name} over copying the last frame` : measure.name;
    draw("motion-plot", [...points, ...lines], look, `${what} against motion, ${usable.length} clips; means by motion are in the table below.`, `${what}, ${measure.areaName}, ${measure.variantName}; ${usable.length} clips.`);
    fillTable(numbersOf("motion-plot"), ["Mean by motion", ...(ticks ?? []).map((bin) => `about ${bin.x.toFixed(1)} %`)], table);
  }

  // Gives names a corner of their point where they cover the fewest points. Points in one place share a list
  // of names. What would cover another name is left out: the methods above the plot have the same colors.
  function placing(plot, points) {
    const scale = (side, room) => {
      const ends = points.flatMap((p) => [p[side].mean, ...(p[side].interval ?? [])]);
      const [low, high] = [Math.min(...ends), Math.max(...ends)];
      return (v) => ((v - low) / (high - low || 1)) * room;
    };
    const [width, height, labels, named] = [plot.clientWidth - 90, plot.clientHeight - 80, new Map(), []];
    const [x, y] = [scale("x", width), scale("y", height)];
    const taken = points.map((p) => [x(p.x.mean) - 9, y(p.y.mean) - 9, x(p.x.mean) + 9, y(p.y.mean) + 9]);
    const covered = (box, others) => others.filter((t) => box[0] < t[2] && box[2] > t[0] && box[1] < t[3] && box[3] > t[1]).length;
    for (const [k, p] of points.entries()) {
      if (labels.has(p.name)) continue;
      const [px, py] = [x(p.x.mean), y(p.y.mean)];
      const group = points.filter((q, j) => !labels.has(q.name) && Math.hypot(taken[j][0] - taken[k][0], taken[j][1] - taken[k][1]) < 9);
      const lines = group.slice(0, group.length > 4 ? 3 : 4).map((q) => [short(q.name, plot), q.ink]);
      if (group.length > 4) lines.push([`and ${group.length - 3} more`, css("--muted")]);
      const [wide, tall] = [Math.max(...lines.map(([name]) => name.length)) * 8 + 4, lines.length * 17 + 3];
      const cost = (box) => 8 * covered(box, named) + (box[0] < 0 || box[2] > width + 10 || box[1] < -25 || box[3] > height + 20 ? 16 : 0) + covered(box, taken);
      const corners = [py + 6, py - 6 - tall].flatMap((low) => [px + 5, px - 5 - wide].map((left) => [left, low, left + wide, low + tall]));
      const box = corners.reduce((best, next) => (cost(next) < cost(best) ? next : best));
      const text = covered(box, named) ? "" : lines.map(([name, ink]) => `<span style="color:${ink}">${escaped(name)}</span>`).join("<br>");
      if (text) named.push(box);
      for (const q of group) labels.set(q.name, { text: [q === p ? text : ""], textposition: `${box[1] > py ? "top" : "bottom"} ${box[0] > px ? "right" : "left"}` });
    }
    return labels;
  }
  function drawTradeoff() {
    const now = data.measures[key];
    const find = (metric, variant) => Object.entries(data.measures).find(([, m]) => m.metric === metric && m.area === now.area && m.variant === variant)?.[0];
    const variants = [now.variant, ...Object.values(data.measures).filter((m) => m.area === now.area).map((m) => m.variant)];
    const variant = variants.find((name) => find("psnr", name) && find("sharpness", name));
    const figure = $("#tradeoff figure");
    figure.hidden = variant === undefined;
    if (variant === undefined) return;
    const [across, up] = [data.measures[find("psnr", variant)], data.measures[find("sharpness", variant)]];
    const bars = (score, ink) => ({ type: "data", symmetric: false, array: [score.interval ? score.interval[1] - score.mean : 0], arrayminus: [score.interval ? score.mean - score.interval[0] : 0], color: faded(ink, 0.55), thickness: 1.75, width: 4 });
    const points = visible().map((m) => ({ name: m.name, ink: color(m), x: across.scores[m.name], y: up.scores[m.name] })).filter((p) => p.x.mean !== null && p.y.mean !== null);
    const plot = document.getElementById("tradeoff-plot"), placed = placing(plot, points);
    const traces = visible().filter((m) => across.scores[m.name].mean !== null && up.scores[m.name].mean !== null).map((method) => {
      const [x, y, ink] = [across.scores[method.name], up.scores[method.name], color(method)];
      return {
        x: [x.mean], y: [y.mean], mode: "markers+text", name: escaped(method.name), ...placed.get(method.name), textfont: { color: ink, size: 13 },
        marker: { symbol: method.symbol, size: method.kind === "baseline" ? 11 : 13, color: ink, line: { width: 2, color: ink } }, error_x: bars(x, ink), error_y: bars(y, ink), cliponaxis: false,
        hovertemplate: `<b>${escaped(method.name)}</b><br>${across.name} <b>${shown(x.mean, across)}</b>${x.interval ? ` [${x.interval.map((v) => shown(v, across)).join(", ")}]` : ""}<br>${up.name} <b>${shown(y.mean, up)}</b>${y.interval ? ` [${y.interval.map((v) => shown(v, up)).join(", ")}]` : ""}<extra></extra>`,
      };
    });
    draw("tradeoff-plot", traces, layout({ title: axisName(across) }, { title: axisName(up) }), `Sharpness against PSNR of ${data.methods.length} methods; the numbers are in the table below.`, `${across.name} and ${up.name.toLowerCase()}, ${across.areaName}, ${across.variantName}; bars are 95 % intervals.`);
    fillTable(numbersOf("tradeoff-plot"), ["Method", axisName(across), axisName(up)], data.methods.map((m) => [m.name, shown(across.scores[m.name].mean, across), shown(up.scores[m.name].mean, up)]));
  }

  // Rows of a benchmark: seeds are pooled, and what costs nothing is a line across.
  function drawRows() {
    if (!data.benchmark) return;
    const measure = data.measures[key];
    const axis = $("#rows-axis").value;
    const rows = data.benchmark.rows.filter((row) => row.scores[key] && row.scores[key].mean !== null);
    $("#rows-figure").hidden = !axis || !rows.length;
    if ($("#rows-figure").hidden) return;
    const name = data.benchmark.axes[axis];
    const costing = rows.filter((row) => row.costs[axis]);
    const costs = costing.map((row) => row.costs[axis]), decades = Math.log10(Math.max(...costs) / Math.min(...costs));
    const free = rows.filter((row) => row.costs[axis] === 0);
    const said = (score) => `<b>${shown(score.mean, measure)}</b> ${measure.unit}${score.interval ? ` [${score.interval.map((v) => shown(v, measure)).join(", ")}]` : ""}`;
    const placed = placing(document.getElementById("rows-plot"), costing.map((row) => ({ name: row.name, ink: color(row), x: { mean: Math.log(row.costs[axis]) }, y: row.scores[key] })));
    // Lines that are closer than a label is high share the label of the highest.
    const means = rows.map((row) => row.scores[key].mean);
    const close = 0.06 * (Math.max(...means) - Math.min(...means));
    const labels = new Map();
    let top;
    for (const row of [...free].sort((one, two) => two.scores[key].mean - one.scores[key].mean)) {
      if (top && top.scores[key].mean - row.scores[key].mean < close) labels.get(top.name).push(escaped(row.name));
      else labels.set((top = row).name, [escaped(row.name)]);
    }
    const lines = free.map((row) => ({
      x: costs.length ? [0.8 * Math.min(...costs), 1.25 * Math.max(...costs)] : [1, 2],
      y: [row.scores[key].mean, row.scores[key].mean], mode: "lines+text", name: escaped(row.name), text: ["", (labels.get(row.name) ?? []).join(", ")], textposition: "top left", textfont: { color: color(row), size: 12 },
      line: { color: color(row), dash: row.dash, width: 1.75 }, hovertemplate: `<b>${escaped(row.name)}</b>, no ${name}<br>${measure.name} ${said(row.scores[key])}<extra></extra>`,
    }));
    const marks = costing.map((row) => {
      const [score, ink] = [row.scores[key], color(row)];
      return {
        x: [row.costs[axis]], y: [score.mean], mode: "markers+text", name: escaped(row.name), ...placed.get(row.name), textfont: { color: ink, size: 13 },
        marker: { symbol: row.symbol, size: row.kind === "baseline" ? 11 : 13, color: ink, line: { width: 2, color: ink } }, cliponaxis: false,
        error_y: { type: "data", symmetric: false, array: [score.interval ? score.interval[1] - score.mean : 0], arrayminus: [score.interval ? score.mean - score.interval[0] : 0], color: faded(ink, 0.55), thickness: 1.75, width: 4 },
        hovertemplate: `<b>${escaped(row.name)}</b><br>${measure.name} ${said(score)}<br>%{x:.3s} ${name}<extra></extra>`,
      };
    });
    draw("rows-plot", [...lines, ...marks], layout({ title: `${name} (logarithmic)`, type: "log", tickformat: "~s", ...(decades > 0.7 ? { tickmode: "array", tickvals: Array.from({ length: 24 }, (_, k) => (decades > (narrow() ? 1.5 : 4) ? [1] : [1, 2, 5]).map((digit) => digit * 10 ** (k - 4))).flat() } : {}) }, { title: axisName(measure) }), `${measure.name} of ${rows.length} rows against ${name}; the numbers are in the table below.`, `${measure.name}, ${measure.areaName}, ${measure.variantName}, against ${name}; ${measure.higherIsBetter ? "up" : "down"} and to the left is better and cheaper.`);
    fillTable(numbersOf("rows-plot"), ["Row", axisName(measure), name], rows.map((row) => [row.name, shown(row.scores[key].mean, measure), row.costs[axis] === null || row.costs[axis] === undefined ? "–" : row.costs[axis].toPrecision(3)]));
  }
  if (data.benchmark) {
    const axes = $("#rows-axis");
    axes.append(...Object.entries(data.benchmark.axes).map(([value, name]) => make("option", { value, textContent: name })));
    axes.addEventListener("change", drawRows);
  }

  const drawAll = () => { drawRows(); drawCurves(); drawMotion(); drawTradeoff(); };

  // Choices ----------------------------------------------------------------------------------------
  const areas = [...new Set(Object.values(data.measures).map((measure) => measure.area))];
  const select = document.getElementById("measure");

  function fillMeasures() {
    const area = data.measures[key].area;
    const groups = new Map();
    for (const [name, measure] of Object.entries(data.measures)) {
      if (measure.area !== area) continue;
      if (!groups.has(measure.variantName)) groups.set(measure.variantName, []);
      groups.get(measure.variantName).push(make("option", { value: name, textContent: measure.name }));
    }
    const lone = groups.size === 1;
    select.replaceChildren(...[...groups].flatMap(([label, options]) => (lone ? options : [make("optgroup", { label }, ...options)])));
    select.value = key;
  }
  function choose(next, speak = true) {
    key = next;
    const measure = data.measures[key];
    for (const input of $$("#areas input")) input.checked = input.value === measure.area;
    fillMeasures();
    for (const box of $$(".ranking")) {
      box.hidden = !box.dataset.keys.split(" ").includes(key);
      if (box.hidden) continue;
      const head = $$("thead th", box).find((th) => th.dataset.key === key && !th.classList.contains("gain"));
      if (speak && head && !head.hasAttribute("aria-sort")) sortTable($("button", head));
    }
    if (speak) $("#verdict").replaceChildren(...measure.verdict.flatMap((sentence) => [make("p", { textContent: sentence }), " "]));
    drawAll();
  }
  for (const area of areas) {
    const input = make("input", { type: "radio", name: "area", value: area });
    input.addEventListener("change", () => {
      const now = data.measures[key];
      const there = Object.entries(data.measures).filter(([, measure]) => measure.area === area);
      const like = there.find(([, m]) => m.metric === now.metric && m.variant === now.variant) ?? there.find(([, m]) => m.metric === now.metric) ?? there[0];
      choose(like[0]);
    });
    const name = Object.values(data.measures).find((measure) => measure.area === area).areaName;
    $("#areas").append(make("label", {}, input, make("span", { textContent: name[0].toUpperCase() + name.slice(1) })));
  }
  select.addEventListener("change", () => choose(select.value));
  $("#controls").hidden = false;
  $("#areas").closest("fieldset").hidden = areas.length < 2;
  $("#motion-modes").hidden = data.baseline === null || data.methods.length < 2;
  for (const input of $$("#motion-modes input")) input.addEventListener("change", () => { motionMode = input.value; drawMotion(); });

  const lineStyles = { solid: "", dash: "6 4", dot: "2 3", dashdot: "6 3 2 3", longdash: "9 4", longdashdot: "9 3 2 3" };
  function lineSample(method) {
    return make("span", { className: "line", innerHTML: `<svg width="24" height="10" aria-hidden="true"><line x1="1" x2="23" y1="5" y2="5" stroke="var(--c)" stroke-width="2.5" stroke-dasharray="${lineStyles[method.dash]}"/></svg>` });
  }
  for (const box of $$(".chips")) {
    for (const method of data.methods) {
      const chip = make("button", { type: "button", className: method.color, title: "Show or hide in all plots" }, lineSample(method), make("span", { textContent: method.name }));
      chip.dataset.method = method.name;
      chip.setAttribute("aria-pressed", "true");
      chip.addEventListener("click", () => {
        if (!hidden.delete(method.name)) hidden.add(method.name);
        for (const other of $$(".chips button")) if (other.dataset.method === method.name) other.setAttribute("aria-pressed", String(!hidden.has(method.name)));
        drawAll();
      });
      box.append(chip);
    }
  }

  const theme = document.getElementById("theme");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const nameTheme = () => { $(".label", theme).textContent = isDark() ? "Light" : "Dark"; theme.setAttribute("aria-label", `Use the ${isDark() ? "light" : "dark"} theme`); };
  theme.hidden = false;
  theme.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("vidpred-theme", root.dataset.theme); } catch { /* storage may be forbidden */ }
    nameTheme();
    drawAll();
  });
  dark.addEventListener("change", () => { nameTheme(); drawAll(); });
  nameTheme();

  const filter = $("#clip-filter");
  function filterClips() {
    const method = $("select", filter).value;
    for (const card of $$(".card")) card.hidden = method !== "" && !JSON.parse(card.dataset.methods).includes(method);
  }
  if (filter) { filter.hidden = false; $("select", filter).addEventListener("change", filterClips); filterClips(); }

  // Videos run while they are looked at, unless the reader asked for calm or stopped them.
  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && !target.dataset.stopped && !calm.matches) { target.play().catch(() => {}); continue; }
      target.dataset.leaving = "yes";
      target.pause();
    }
  }, { threshold: 0.4 });
  for (const video of $$("video")) {
    video.addEventListener("pause", () => { if (video.dataset.leaving) delete video.dataset.leaving; else video.dataset.stopped = "yes"; });
    video.addEventListener("play", () => { delete video.dataset.stopped; delete video.dataset.leaving; });
    watcher.observe(video);
  }

  // Paper is white, whatever the screen shows.
  let screenTheme;
  window.addEventListener("beforeprint", () => { screenTheme = root.dataset.theme; root.dataset.theme = "light"; drawAll(); });
  window.addEventListener("afterprint", () => {
    if (screenTheme === undefined) delete root.dataset.theme; else root.dataset.theme = screenTheme;
    drawAll();
  });
  choose(key, false);
})();
