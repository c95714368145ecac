// Scores over time, above a strip with a cell a frame; both share their columns.

const NAMESPACE = "http://www.w3.org/2000/svg";
const LEFT = 46;
const RIGHT = 12;
const PLOT = 150;
const STRIP = 18;
const LABELS = 20;

function add(parent, name, attributes, text) {
  const element = document.createElementNS(NAMESPACE, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function ticksBetween(low, high) {
  const raw = (high - low) / 4;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= raw) * power;
  const ticks = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-6; tick += step) ticks.push(tick);
  const digits = Math.max(0, -Math.floor(Math.log10(step)) + (step / 10 ** Math.floor(Math.log10(step)) === 2.5 ? 1 : 0));
  return ticks.map((tick) => [tick, tick.toFixed(digits)]);
}

// Gives the frame under a place of the chart, from 0.
export function frameAt(box, clientX, frames) {
  const inside = (clientX - box.left - LEFT) / Math.max(1, box.width - LEFT - RIGHT);
  return Math.min(frames - 1, Math.max(0, Math.floor(inside * frames)));
}

// series: [{ values, className }]; `known` cells come first, then `horizon` ones.
export function drawChart(svg, { series, known, horizon, done, truth, index, title }) {
  const width = svg.parentElement.clientWidth;
  const height = PLOT + STRIP + LABELS;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("width", width);
  svg.setAttribute("height", height);
  svg.replaceChildren(svg.querySelector("title"));
  svg.querySelector("title").textContent = title;
  const frames = known + horizon;
  const column = (width - LEFT - RIGHT) / frames;
  const middle = (frame) => LEFT + (frame + 0.5) * column;

  const values = series.flatMap((line) => line.values);
  if (values.length) {
    let [low, high] = [Math.min(...values), Math.max(...values)];
    const room = Math.max((high - low) * 0.12, Math.abs(high) * 0.01, 1e-3);
    [low, high] = [low - room, high + room];
    const y = (value) => 8 + (1 - (value - low) / (high - low)) * (PLOT - 20);
    for (const [tick, label] of ticksBetween(low, high)) {
      add(svg, "line", { class: "grid", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick) });
      add(svg, "text", { class: "tick", x: LEFT - 8, y: y(tick), "text-anchor": "end", "dominant-baseline": "middle" }, label);
    }
    add(svg, "line", { class: "cursor", x1: middle(index), x2: middle(index), y1: 4, y2: PLOT + STRIP });
    for (const { values: line, className } of series) {
      const points = line.map((value, step) => `${middle(known + step).toFixed(1)},${y(value).toFixed(1)}`);
      add(svg, "polyline", { class: `line ${className}`, points: points.join(" ") });
      line.forEach((value, step) => {
        const here = known + step === index;
        if (here || (line.length <= 32 && !className.includes("other"))) add(svg, "circle", { class: `dot ${className}${here ? " here" : ""}`, cx: middle(known + step), cy: y(value), r: here ? 5 : 2.75 });
      });
    }
  } else {
    const text = truth ? "scores come with the first predicted frame" : "no truth to score against: the clip ends here";
    add(svg, "text", { class: "tick", x: LEFT + (width - LEFT - RIGHT) / 2, y: PLOT / 2, "text-anchor": "middle" }, text);
    add(svg, "line", { class: "cursor", x1: middle(index), x2: middle(index), y1: PLOT - 8, y2: PLOT + STRIP });
  }

  const gap = column > 8 ? 1.5 : 0.5;
  for (let frame = 0; frame < frames; frame += 1) {
    const kind = frame < known ? "known" : frame < known + done ? "done" : "coming";
    add(svg, "rect", { class: `cell ${kind}${frame === index ? " here" : ""}`, x: LEFT + frame * column + gap, y: PLOT, width: Math.max(1, column - 2 * gap), height: STRIP, rx: Math.min(4, column / 4) });
  }
  const every = [1, 2, 4, 8, 16].find((n) => n * column >= 34) ?? 32;
  for (let step = 1; step <= horizon; step += every) add(svg, "text", { class: "tick", x: middle(known + step - 1), y: PLOT + STRIP + 14, "text-anchor": "middle" }, `t+${step}`);
  if (known * column >= 40) add(svg, "text", { class: "tick", x: LEFT + (known * column) / 2, y: PLOT + STRIP + 14, "text-anchor": "middle" }, "known");
}
