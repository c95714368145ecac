// What is to be predicted: model, frames, futures, size.

import { refill } from "/static/clips.js";
import { about as about_, mean, plural, seconds, shown } from "/static/words.js";

const $ = (selector, root = document) => root.querySelector(selector);
const KINDS = { yours: "Yours", bundled: "Bundled", baseline: "Baselines" };
const STORED = "vidpred-settings"; // of this tab, also after it is loaded again
const KEPT = ["model", "horizon", "samples"];
const COMFORTABLE = 450_000; // pixels of a frame that are predicted quickly on any machine

function keep() {
  try { sessionStorage.setItem(STORED, JSON.stringify(KEPT.map((id) => $(`#${id}`).value))); } catch { /* storage may be forbidden */ }
}

function restore() {
  let values;
  try { values = JSON.parse(sessionStorage.getItem(STORED)); } catch { /* ditto */ }
  if (!values) return;
  KEPT.forEach((id, k) => { $(`#${id}`).value = values[k]; });
  if (!$("#model").value) $("#model").selectedIndex = 0; // that model is not served any longer
}

export class Controls {
  #models = [];
  #reductions = [1];
  #problem = null;
  #size = "";
  #past = "";
  onOpen = () => {};

  constructor({ changed }) {
    for (const id of ["model", "horizon", "samples", "reduce"]) $(`#${id}`).addEventListener("input", changed);
    for (const id of KEPT) $(`#${id}`).addEventListener("input", keep);
  }

  fill(about) {
    [this.#models, this.#reductions] = [about.models, about.reductions];
    $("#horizon").max = about.limits.horizon;
    $("#samples").max = about.limits.samples;
    const groups = Object.entries(KINDS).map(([kind, label]) => {
      const models = about.models.filter((model) => model.kind === kind);
      const group = Object.assign(document.createElement("optgroup"), { label });
      group.append(...models.map((model) => new Option(model.name, model.name)));
      return models.length ? group : null;
    });
    $("#model").replaceChildren(...groups.filter(Boolean));
    restore();
  }

  horizon() { return Number($("#horizon").value); }

  // Gives what to ask the server, or null while it cannot be asked.
  question() {
    if (this.#problem !== null || !$("#progress").hidden) return null;
    const model = this.#model();
    const seed = model.stochastic ? crypto.getRandomValues(new Uint32Array(1))[0] % 2 ** 31 : 0;
    return { model: model.name, horizon: this.horizon(), reduce: Number($("#reduce").value), samples: model.stochastic ? Number($("#samples").value) : 1, seed };
  }

  update({ about, clip, last, prediction, running, past }) {
    const model = this.#model();
    const horizon = this.horizon();
    this.#fillSizes(clip);
    $("#model-about").textContent = `${model.about}; sees ${plural(model.context_frames, "known frame")}`;
    $("#horizon-value").textContent = `${horizon} (${seconds(horizon / clip.fps)})`;
    $("#samples-field").hidden = !model.stochastic;
    $("#samples-value").textContent = $("#samples").value === "1" ? "1, the point prediction" : `${$("#samples").value}, drawn`;
    const there = clip.frames - 1 - last;
    const early = last + 1 < model.context_frames;
    const short = clip.frames < model.context_frames;
    this.#problem = short ? `The clip has ${plural(clip.frames, "frame")}; ${model.name} sees ${model.context_frames} known ones` : early ? `${model.name} sees ${model.context_frames} known frames: choose frame ${model.context_frames - 1} or a later one` : null;
    let note = this.#problem;
    if (!early && there === 0) note = "The clip ends here: what follows has no truth to compare with.";
    else if (!early && there < horizon) note = `The clip ends ${plural(there, "frame")} after this, so ${there} of ${horizon} have a truth to compare with.`;
    $("#note").textContent = note ?? "";
    $("#note").hidden = note === null;
    $("#predict").textContent = `Predict ${plural(horizon, "frame")}`;
    $("#predict").disabled = early;
    this.#progress(running);
    this.#listPast(past, prediction);
    return { known: Math.min(model.context_frames, last + 1), horizon };
  }

  #model() { return this.#models.find((model) => model.name === $("#model").value) ?? this.#models[0]; }

  #fillSizes(clip) {
    if (this.#size === clip.key) return;
    this.#size = clip.key;
    const names = { 1: "as it is", 2: "half", 4: "a quarter", 8: "an eighth" };
    const fitting = this.#reductions.filter((factor) => factor === 1 || Math.min(clip.width, clip.height) / factor >= 64);
    $("#reduce").replaceChildren(...fitting.map((factor) => new Option(`${names[factor]}: ${Math.floor(clip.width / factor)} × ${Math.floor(clip.height / factor)}`, factor)));
    $("#reduce").value = fitting.find((factor) => (clip.width * clip.height) / factor ** 2 <= COMFORTABLE) ?? fitting.at(-1);
  }

  #progress(running) {
    const held = [$("#predict"), $("#cancel")].includes(document.activeElement);
    $("#run").hidden = Boolean(running);
    $("#progress").hidden = !running;
    if (held) $(running ? "#cancel" : "#predict").focus({ preventScroll: true });
    if (!running) return;
    const percent = Math.round((100 * running.done) / running.total);
    const bar = $("#progress .bar");
    bar.setAttribute("aria-valuenow", percent);
    bar.firstElementChild.style.width = `${percent}%`;
    bar.classList.toggle("unknown", running.done === 0);
    const left = running.left !== null && running.seconds > 1 ? `, ${about_(running.left)} left` : "";
    $("#progress-text").textContent = running.state === "waiting" ? "Waiting for another prediction" : running.done ? `Frame ${running.done} of ${running.total}${left}` : "Predicting …";
  }

  #listPast(past, chosen) {
    const done = past.filter((one) => one.state === "done");
    const now = JSON.stringify([done.map((one) => one.key), chosen?.key]);
    if (now === this.#past) return;
    this.#past = now;
    $("#past").hidden = done.length === 0;
    refill($("#past-list"), done.toReversed().map((one) => {
      const button = Object.assign(document.createElement("button"), { type: "button" });
      button.dataset.key = one.key;
      button.setAttribute("aria-pressed", String(one.key === chosen?.key));
      const values = one.futures.map((future) => future.psnr ?? []).filter((values) => values.length).map(mean);
      const best = values.length ? `${one.samples > 1 ? "best " : ""}${shown(Math.max(...values), "psnr")}` : one.following ? "no score" : "no truth";
      const name = Object.assign(document.createElement("span"), { className: "who", textContent: one.model });
      const place = Object.assign(document.createElement("span"), { className: "facts", textContent: [`frame ${one.last}, ${one.horizon} ahead`, one.samples > 1 ? `${one.samples} futures` : "", one.reduce > 1 ? `${one.width} × ${one.height}` : ""].filter(Boolean).join(", ") });
      const value = Object.assign(document.createElement("span"), { className: "value", textContent: best });
      button.append(name, value, place);
      button.addEventListener("click", () => this.onOpen(one.key));
      const item = document.createElement("li");
      item.append(button);
      return item;
    }));
  }
}
