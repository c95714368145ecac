// What is shown of a clip or a prediction at one frame: panels, moment, scores.

import { drawChart, frameAt } from "/static/chart.js";
import { draw } from "/static/pictures.js";
import { MEASURES, command, label, mean, shown as written, verdict } from "/static/words.js";

const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const panel = (kind) => $(`.panel[data-kind="${kind}"]`);

export class Shown {
  #page;
  #measure = "psnr";
  #enlarged = null;
  #truthHeld = false;
  #futures = "";
  #numbers = "";

  // page: { state, pictures, clip(), prediction(), render(), show(index), player }
  constructor(page) {
    this.#page = page;
    const { player, show, state } = page;
    const step = (by) => { player.pause(); show(state.index + by); };
    $("#first").addEventListener("click", () => step(-Infinity));
    $("#back").addEventListener("click", () => step(-1));
    $("#play").addEventListener("click", () => player.toggle());
    $("#forward").addEventListener("click", () => step(1));
    $("#last").addEventListener("click", () => step(Infinity));
    $("#difference-of").addEventListener("change", page.render);
    for (const button of $$(".enlarge")) button.addEventListener("click", () => this.enlarge(button.closest(".panel").dataset.kind));
    for (const measure of Object.keys(MEASURES)) {
      const input = Object.assign(document.createElement("input"), { type: "radio", name: "measure", value: measure, checked: measure === this.#measure });
      input.addEventListener("change", () => { this.#measure = measure; page.render(); });
      const name = Object.assign(document.createElement("span"), { textContent: label(measure) });
      const choice = document.createElement("label");
      choice.append(input, name);
      $("#measures").append(choice);
    }
    const steps = $("#steps");
    const seek = (event) => {
      const one = page.prediction();
      if (one) { player.pause(); show(frameAt($("#chart").getBoundingClientRect(), event.clientX, one.known + one.horizon)); }
    };
    steps.addEventListener("pointerdown", (event) => { steps.setPointerCapture(event.pointerId); seek(event); });
    steps.addEventListener("pointermove", (event) => steps.hasPointerCapture(event.pointerId) && seek(event));
  }

  enlarge(kind) {
    this.#enlarged = this.#enlarged === kind ? null : kind;
    this.#page.render();
  }

  get enlarged() { return this.#enlarged; }

  holdTruth(held) {
    if (held === this.#truthHeld) return;
    this.#truthHeld = held;
    this.#page.render();
  }

  nextFuture(by) {
    const one = this.#page.prediction();
    if (!one || one.samples < 2) return;
    this.#page.state.future = (this.#page.state.future + by + one.samples) % one.samples;
    this.#page.render();
  }

  draw() {
    const one = this.#page.prediction();
    const { player } = this.#page;
    $("#panels").dataset.mode = one ? "prediction" : "clip";
    $("#play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
    $("#play").dataset.playing = player.playing;
    $("#scores").hidden = !one;
    $("#scale").hidden = !(one && one.following);
    $(".stage").style.setProperty("--aspect", this.#page.clip().aspect);
    $("#panels").classList.toggle("tall", this.#page.clip().aspect < 0.8);
    if (one) this.#drawPrediction(one); else this.#drawClip();
  }

  #drawClip() {
    const { state, pictures } = this.#page;
    const clip = this.#page.clip();
    $("#futures").hidden = true;
    const image = pictures.get(state.tab.preview(clip.key, state.index), this.#page.render);
    const canvas = $("canvas", panel("clip"));
    draw(canvas, image);
    canvas.setAttribute("aria-label", `Frame ${state.index} of ${clip.name}`);
    $("[data-value]", panel("clip")).textContent = `frame ${state.index}`;
    $("#moment").textContent = `${state.index} / ${clip.frames - 1}`;
    for (const figure of $$(".panel")) figure.classList.remove("large");
  }

  #drawPrediction(one) {
    const { state, pictures } = this.#page;
    const future = Math.min(state.future, one.samples - 1);
    const step = state.index - one.known + 1; // frames after the last known one; 0 and below is known
    const known = step <= 0;
    const url = (kind, number, at) => state.tab.picture(one.key, kind, number, at);
    const get = (kind, number, at) => pictures.get(url(kind, number, at), this.#page.render);
    const predicted = one.done - future * one.horizon >= step;
    const true_ = step <= one.truth;
    const knownNow = known ? this.#known(one, step) : undefined;
    const lastKnown = this.#known(one, 0);

    const truth = known ? knownNow : true_ ? get("truth", 0, step) : undefined;
    const pred = known ? knownNow : predicted ? get("pred", future, step) : undefined;
    const which = $("#difference-of").value;
    const number = which === "difference" ? future : 0;
    const compared = !known && true_ && (which === "copy-difference" ? Boolean(one.copy_last.psnr?.[step - 1]) : predicted);

    const scored = (values) => (known ? undefined : values?.[this.#measure]?.[step - 1]);
    const own = scored(one.futures[future]);
    const copied = scored(one.copy_last);
    this.#paint("truth", truth, { absent: !known && step > one.following });
    this.#paint("pred", this.#truthHeld && truth ? truth : pred, { absent: !known && !predicted, value: own });
    $(".flag", panel("pred")).hidden = !(this.#truthHeld && truth && !known);
    this.#paint("copy", known ? knownNow : lastKnown, { value: copied });
    this.#paint("difference", compared ? get(which, number, step) : undefined, { absent: !known && step > one.following, empty: !compared });
    const name = $(".name", panel("pred"));
    name.textContent = name.title = one.samples > 1 ? `${one.model}, future ${future + 1}` : one.model;
    panel("pred").classList.toggle("future", !known);
    panel("copy").classList.toggle("future", !known);

    for (const figure of $$(".panel")) {
      const large = figure.dataset.kind === this.#enlarged;
      figure.classList.toggle("large", large);
      $(".enlarge", figure)?.setAttribute("aria-pressed", String(large));
    }
    $("#panels").classList.toggle("has-large", this.#enlarged !== null);
    const moment = step > 0 ? `t+${step}` : step === 0 ? "t" : `t−${-step}`;
    $("#moment").replaceChildren(Object.assign(document.createElement("strong"), { textContent: moment }), ` ${known ? "known" : "predicted"} `, Object.assign(document.createElement("span"), { className: "facts", textContent: `frame ${one.last + step}` }));
    this.#drawFutures(one, step, future);
    this.#drawScores(one, future, step, moment);
    this.#preload(one, url);
  }

  // A known frame, `step` frames after the last one. Until something is predicted it is the clip's
  // own small picture: a model that fails in its first step takes those of the prediction with it.
  #known(one, step) {
    if (!one.known) return undefined;
    const { state, pictures, render } = this.#page;
    return pictures.get(one.done ? state.tab.picture(one.key, "known", 0, one.known - 1 + step) : state.tab.preview(one.clip, one.last + step), render);
  }

  #paint(kind, image, { absent = false, value, empty = false } = {}) {
    const figure = panel(kind);
    const canvas = $("canvas", figure);
    draw(canvas, image, { clear: absent || empty });
    const note = $(".absent", figure);
    if (note) note.hidden = !absent;
    const number = $("[data-value]", figure);
    if (number) number.textContent = value === undefined ? "" : written(value, this.#measure);
    const name = { truth: "True frame", pred: "Predicted frame", copy: "Last known frame, repeated", difference: "Difference from the truth" }[kind];
    canvas.setAttribute("aria-label", absent ? `${name}: none` : `${name}${value === undefined ? "" : `, ${label(this.#measure)} ${written(value, this.#measure)}`}`);
  }

  // All pictures of a finished prediction are fetched, so that playing does not stutter.
  #preload(one, url) {
    if (one.state !== "done") return;
    const { pictures, state } = this.#page;
    const wanted = [];
    for (let k = 0; k < one.known; k += 1) wanted.push(["known", 0, k]);
    for (let step = 1; step <= one.horizon; step += 1) {
      wanted.push(["pred", state.future, step]);
      if (step <= one.truth) wanted.push(["truth", 0, step], [$("#difference-of").value, $("#difference-of").value === "difference" ? state.future : 0, step]);
    }
    for (const picture of wanted) pictures.get(url(...picture));
  }

  #drawFutures(one, step, chosen) {
    $("#futures").hidden = one.samples < 2;
    if (one.samples < 2) { this.#futures = ""; return; }
    const { state, pictures, render } = this.#page;
    const list = $("#future-list");
    const now = `${one.key} ${one.samples}`;
    if (this.#futures !== now) {
      this.#futures = now;
      list.replaceChildren(...Array.from({ length: one.samples }, (_, k) => {
        const choice = document.createElement("label");
        const input = Object.assign(document.createElement("input"), { type: "radio", name: "future", value: k });
        input.addEventListener("change", () => { state.future = k; state.follow = false; render(); });
        const canvas = document.createElement("canvas");
        canvas.setAttribute("aria-hidden", "true");
        const text = Object.assign(document.createElement("span"), { className: "future-name" });
        choice.append(input, canvas, text);
        return choice;
      }));
    }
    [...list.children].forEach((choice, k) => {
      $("input", choice).checked = k === chosen;
      const there = step <= 0 || one.done - k * one.horizon >= step;
      const picture = step <= 0 ? this.#known(one, step) : there ? pictures.get(state.tab.picture(one.key, "pred", k, step), render) : undefined;
      draw($("canvas", choice), picture, { clear: !there });
      const values = one.futures[k]?.[this.#measure] ?? [];
      $(".future-name", choice).textContent = values.length ? `${k + 1}: ${written(mean(values), this.#measure)}` : `${k + 1}`;
    });
  }

  #drawScores(one, future, step, moment) {
    const measure = this.#measure;
    const own = one.futures[future]?.[measure] ?? [];
    const copied = one.copy_last[measure] ?? [];
    $("#verdict").textContent = verdict(one, future, measure);
    $("#measure-about").textContent = MEASURES[measure].about;
    const series = [{ values: copied, className: "copy" }];
    one.futures.forEach((values, k) => { if (k !== future) series.push({ values: values[measure] ?? [], className: "pred other" }); });
    series.push({ values: own, className: "pred" });
    const done = Math.max(0, Math.min(one.horizon, one.done - future * one.horizon));
    const title = own.length ? `${label(measure)} by frame: ${one.model} from ${written(own[0], measure)} to ${written(own.at(-1), measure)}, copy last from ${written(copied[0], measure)} to ${written(copied[own.length - 1], measure)}` : `No ${label(measure)} yet`;
    drawChart($("#chart svg"), { series, known: Math.max(1, one.known), horizon: one.horizon, done, truth: one.following, index: this.#page.state.index, title });
    $("#legend").replaceChildren(legendEntry("pred", one.model, own, step, measure), legendEntry("copy", "copy last", copied, step, measure));
    const steps = $("#steps");
    steps.setAttribute("aria-valuemin", 0);
    steps.setAttribute("aria-valuemax", one.known + one.horizon - 1);
    steps.setAttribute("aria-valuenow", this.#page.state.index);
    steps.setAttribute("aria-valuetext", `${moment}${step > 0 ? ", predicted" : ", known"}`);
    this.#drawNumbers(one, future);
  }

  #drawNumbers(one, future) {
    const now = `${one.key} ${one.done} ${future}`;
    if (now === this.#numbers) return;
    this.#numbers = now;
    const cell = (tag, text, scope) => { const made = Object.assign(document.createElement(tag), { textContent: text }); if (scope) made.scope = scope; return made; };
    const row = (cells) => { const made = document.createElement("tr"); made.append(...cells); return made; };
    const steps = Array.from({ length: one.truth }, (_, k) => k);
    $("#numbers thead").replaceChildren(row([cell("td", ""), cell("th", "mean", "col"), ...steps.map((k) => cell("th", `t+${k + 1}`, "col"))]));
    const lines = [];
    for (const measure of Object.keys(MEASURES)) {
      for (const [name, values] of [[one.model, one.futures[future]?.[measure] ?? []], ["copy last", one.copy_last[measure] ?? []]]) {
        const unit = MEASURES[measure].unit;
        lines.push(row([cell("th", `${label(measure)}${unit ? `, ${unit}` : ""}: ${name}`, "row"), cell("td", values.length ? written(mean(values), measure, false) : "–"), ...steps.map((k) => cell("td", written(values[k], measure, false)))]));
      }
    }
    $("#numbers tbody").replaceChildren(...lines);
    $("#numbers .scroll").hidden = one.truth === 0;
    $("#command").textContent = command(one, this.#page.clip());
  }
}

function legendEntry(kind, name, values, step, measure) {
  const now = step > 0 ? values[step - 1] : undefined;
  const text = now !== undefined ? written(now, measure) : values.length ? `mean ${written(mean(values), measure)}` : "";
  const entry = document.createElement("li");
  const swatch = Object.assign(document.createElement("span"), { className: `swatch ${kind}` });
  swatch.setAttribute("aria-hidden", "true");
  entry.append(swatch, Object.assign(document.createElement("span"), { textContent: name }), Object.assign(document.createElement("span"), { className: "value", textContent: text }));
  return entry;
}
