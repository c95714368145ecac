// How the page writes numbers and sentences.

// By name of the metric, as in vidpred.metrics.METRICS.
export const MEASURES = {
  psnr: { label: "PSNR", unit: "dB", digits: 2, about: "PSNR: the mean squared difference from the truth on a logarithmic scale, in dB (100 dB: identical). Higher is better; it favors blur over a sharp guess that is wrong." },
  ssim: { label: "SSIM", unit: "", digits: 3, about: "SSIM: how alike brightness, contrast and structure are in small windows, at most 1. Higher is better." },
  sharpness: { label: "Sharpness", unit: "dB", digits: 2, about: "Sharpness: how alike the strengths of edges are, in dB (Mathieu et al. 2016; 100 dB: identical). Higher is better; blur lowers it." },
};

export const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
export const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
export const shown = (value, measure, unit = true) => (value === undefined ? "–" : `${value.toFixed(MEASURES[measure].digits)}${unit && MEASURES[measure].unit ? ` ${MEASURES[measure].unit}` : ""}`);
export const mebibytes = (bytes) => (bytes / 2 ** 20).toLocaleString("en", { maximumFractionDigits: bytes < 10 * 2 ** 20 ? 1 : 0 });
export const label = (measure) => MEASURES[measure].label;

export function seconds(value) {
  if (value < 60) return `${value.toFixed(value < 10 ? 2 : 1)} s`;
  return `${Math.floor(value / 60)} min ${Math.round(value % 60)} s`;
}

export function about(value) {
  if (value < 1.5) return "about a second";
  if (value < 90) return `about ${Math.round(value)} s`;
  return `about ${Math.round(value / 60)} min`;
}

// One plain sentence on a prediction, whether it is better than copying or not.
export function verdict(prediction, future, measure) {
  const own = prediction.futures[future]?.[measure] ?? [];
  const copied = prediction.copy_last[measure] ?? [];
  if (!own.length && !prediction.following) return `${plural(prediction.horizon, "frame")} beyond the end`;
  if (!own.length) return prediction.state === "done" ? `${plural(prediction.horizon, "frame")}, too small to be scored` : "Predicting";
  const name = prediction.samples > 1 ? `Future ${future + 1} of ${prediction.model}` : prediction.model;
  const over = `over ${plural(own.length, "frame")}`;
  if (prediction.model === "copy_last") return `copy_last repeats the last frame: ${shown(mean(own), measure)} ${over}`;
  const gain = mean(own) - mean(copied.slice(0, own.length));
  const amount = shown(Math.abs(gain), measure);
  if (Number(Math.abs(gain).toFixed(MEASURES[measure].digits)) === 0) return `${name} is as good as copying the last frame, ${over}`;
  return `${name} is ${amount} ${gain > 0 ? "better" : "worse"} than copying the last frame, ${over}`;
}

// The facts of a clip of which not every frame could be read.
export function damage(clip) {
  const lost = clip.expected - clip.frames;
  const named = clip.damaged.slice(0, 5).join(", ") + (clip.damaged.length > 5 ? ", …" : "");
  return [
    lost > 1 && lost > 0.02 * clip.expected ? `about ${plural(lost, "frame")} could not be read` : "",
    clip.damaged.length ? `damaged: ${clip.damaged.length === 1 ? "frame" : "frames"} ${named}` : "",
  ].filter(Boolean);
}

export function command(prediction, clip) {
  const model = prediction.kind === "yours" ? "CHECKPOINT" : prediction.model;
  const quoted = /^[\w.+-]+$/.test(clip.name) ? clip.name : `'${clip.name.replaceAll("'", "'\\''")}'`;
  const drawn = prediction.samples > 1 ? `--samples ${prediction.samples} --seed ${prediction.seed}` : "--compare";
  const smaller = prediction.reduce > 1 ? `\n# of all pixels: here, frames were reduced to ${prediction.width} × ${prediction.height} first` : "";
  return `vidpred predict ${quoted} --model ${model} --at ${prediction.last} --horizon ${prediction.horizon} ${drawn}${smaller}`;
}
