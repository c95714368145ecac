// The page's state, and what changes it.

import { Problem, Tab, about as askAbout } from "/static/api.js";
import { Pictures } from "/static/pictures.js";
import { Reel } from "/static/reel.js";
import { Player } from "/static/player.js";
import { Shown } from "/static/shown.js";
import { Controls } from "/static/controls.js";
import { installKeys, installTheme } from "/static/keys.js";
import { damage, plural, seconds } from "/static/words.js";

const $ = (selector, root = document) => root.querySelector(selector);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const STORED = "vidpred-tab";

const state = {
  about: null, tab: null, clips: [], predictions: [],
  clip: null, // key of the clip that is shown
  prediction: null, // key of the prediction that is shown; null shows the clip
  last: new Map(), // by clip, the last known frame
  index: 0, // frame shown: of the clip, or of the prediction with its known frames
  future: 0, follow: false,
  arrived: false, // the clip was chosen, and not drawn yet
};
const pictures = new Pictures();

const clip = () => state.clips.find((one) => one.key === state.clip);
const prediction = () => state.predictions.find((one) => one.key === state.prediction);
const frames = () => (prediction() ? prediction().known + prediction().horizon : clip()?.frames ?? 0);

// Messages -----------------------------------------------------------------------------------------
function complain(problem, { also = false } = {}) {
  if (!(problem instanceof Problem)) throw problem;
  const before = also && !$("#problem").hidden ? `${$("#problem-text").textContent}\n` : "";
  $("#problem-text").textContent = before + problem.message;
  $("#problem").hidden = false;
  $("#problem").scrollIntoView({ block: "nearest" });
}
function say(text) { $("#status").textContent = text; }
function forgive() { $("#problem").hidden = true; }
$("#problem-close").addEventListener("click", forgive);

// Clips ----------------------------------------------------------------------------------------------
const sending = new Map(); // by name, the part that has been sent

async function take(files) {
  forgive();
  try { await started(); } catch (problem) { complain(problem); return; }
  asked = true;
  for (const file of files) {
    if (file.size > state.about.limits.upload_bytes) {
      complain(new Problem(`${file.name}: it has ${Math.ceil(file.size / 2 ** 20).toLocaleString("en")} MiB; expected at most ${Math.floor(state.about.limits.upload_bytes / 2 ** 20).toLocaleString("en")} MiB. Cut out the part to predict, or start vidpred serve with a larger --max-upload.`), { also: true });
      continue;
    }
    sending.set(file.name, 0);
    render();
    try {
      choose(await state.tab.upload(file, (part) => { sending.set(file.name, part); render(); }));
    } catch (problem) {
      complain(problem, { also: true });
    } finally {
      sending.delete(file.name);
      render();
    }
  }
}

function choose(key) {
  state.clip = key;
  state.prediction = null;
  state.index = state.last.get(key) ?? 0;
  state.arrived = true;
  player.pause();
  render();
}

async function removeClip(key) {
  player.pause();
  await state.tab.removeClip(key).catch(complain);
}

// Moments ------------------------------------------------------------------------------------------
function show(index) {
  state.follow = false;
  state.index = Math.min(frames() - 1, Math.max(0, index));
  if (!prediction() && clip()) state.last.set(clip().key, state.index);
  render();
}

function chooseMoment(index) {
  if (prediction()) { state.prediction = null; player.pause(); }
  show(index);
}

const player = new Player({
  frames, index: () => state.index, show,
  rate: () => (prediction()?.fps ?? clip()?.fps ?? 25) * Number($("#speed").value),
  loops: () => Boolean(prediction()),
  changed: () => render(),
});

function setSpeed(fps, wanted) {
  const choices = [1, 0.5, 0.25, 0.125];
  $("#speed").value = String(wanted ?? choices.reduce((best, next) => (Math.abs(Math.log((next * fps) / 6)) < Math.abs(Math.log((best * fps) / 6)) ? next : best)));
}

// Predictions --------------------------------------------------------------------------------------
async function predict() {
  const question = controls.question();
  if (!question) return;
  forgive();
  player.pause();
  try {
    const key = await state.tab.predict({ ...question, clip: clip().key, last: state.last.get(clip().key) });
    // A quick one is over before the answer to the question is here.
    if (explained.has(key)) return;
    unfinished.add(key);
    open(key, { follow: true });
    say("Predicting");
    if (prediction()) advance(prediction());
    if (matchMedia("(max-width: 60rem)").matches) $("#desk").scrollIntoView({ behavior: calm.matches ? "auto" : "smooth" });
  } catch (problem) { complain(problem); }
}

function open(key, { follow = false } = {}) {
  state.prediction = key;
  state.follow = follow;
  state.future = 0;
  const found = prediction();
  if (found) { state.clip = found.clip; state.index = Math.max(0, found.known - 1); state.last.set(found.clip, found.last); }
  if (clip()) setSpeed(clip().fps);
  render();
}

// Shows what has been predicted so far, and plays it when it is whole.
function advance(one) {
  if (state.follow && one.known) {
    state.future = Math.min(one.samples - 1, Math.floor(Math.max(0, one.done - 1) / one.horizon));
    state.index = one.known - 1 + Math.max(0, one.done - state.future * one.horizon);
  }
  if (one.state !== "done" || !unfinished.delete(one.key)) return;
  say(`${plural(one.horizon, "frame")} predicted in ${seconds(one.seconds)}`);
  state.future = 0;
  if (state.follow && !calm.matches) { state.index = 0; player.play(); }
  state.follow = false;
}

async function cancel() {
  const running = state.predictions.find((one) => one.state === "waiting" || one.state === "predicting");
  if (!running) return false;
  await state.tab.removePrediction(running.key).catch(complain);
  say("Canceled");
  return true;
}

// News from the server -----------------------------------------------------------------------------
const explained = new Set(); // keys of what has failed, of which the reader knows
const unfinished = new Set(); // keys of predictions of which the reader does not know that they are whole

let asked = false; // whether this page has sent a clip: it may be there, or have failed, in the first news

// `fresh` says what a page that was loaded again held before.
function news({ clips, predictions }, fresh) {
  $("#offline").hidden = true;
  const before = new Map(state.clips.map((one) => [one.key, one.state]));
  for (const one of [...clips, ...predictions]) {
    if (one.state !== "failed" || explained.has(one.key)) continue;
    explained.add(one.key);
    if (!fresh) complain(new Problem(one.problem), { also: "codec" in one }); // of clips, several were dropped
  }
  [state.clips, state.predictions] = [clips.filter((one) => one.state !== "failed"), predictions.filter((one) => one.state !== "failed")];
  for (const one of clips) {
    if (one.state === before.get(one.key)) continue;
    if (one.state === "ready") {
      if (!state.last.has(one.key)) state.last.set(one.key, Math.max(0, Math.min(Math.floor(one.frames / 2), one.frames - 1 - controls.horizon())));
      say(`${one.name}: ${plural(one.frames, "frame")}`);
      if (state.clip === one.key && !prediction()) { state.index = state.last.get(one.key); setSpeed(one.fps, 1); }
    }
  }
  for (const one of predictions) {
    if (one.state !== "done") unfinished.add(one.key);
    if (one.key === state.prediction) advance(one);
  }
  if (state.clip && !clip()) state.clip = null;
  if (!state.clip && state.clips.length) {
    choose(state.clips.at(-1).key);
    if (fresh) state.arrived = false; // a page that was loaded again begins at its top
  }
  if (state.prediction && !prediction()) { state.prediction = null; state.index = state.last.get(state.clip) ?? 0; }
  render();
}

// The stored key is kept until there is another one: a page that is left loses its connection too,
// and the page that is loaded next needs the key.
let gone = false; // what the stored key names

async function connect() {
  let key = null;
  try { key = gone ? null : sessionStorage.getItem(STORED); } catch { /* storage may be forbidden */ }
  state.tab = key ? new Tab(key) : await Tab.open();
  gone = false;
  try { sessionStorage.setItem(STORED, state.tab.key); } catch { /* ditto */ }
  let heard = false;
  state.tab.listen({
    changed: (held) => { news(held, !heard && !asked); heard = true; },
    silent: () => { $("#offline").hidden = false; },
    lost: async () => {
      const had = heard && state.clips.length > 0;
      [state.clips, state.predictions, state.clip, state.prediction] = [[], [], null, null];
      pictures.clear();
      render();
      [gone, starting] = [true, null];
      try {
        await started();
        if (had) complain(new Problem("This tab was away for too long, or the server was started again, so its clips were removed. Drop them again."));
      } catch (problem) { complain(problem); }
    },
  });
}

// Drawing ------------------------------------------------------------------------------------------
const reel = new Reel($("#reel"), chooseMoment);
const controls = new Controls({ changed: () => render() });
const shown = new Shown({ state, pictures, clip, prediction, render: () => render(), show, player });
let frameAsked = false;

function render() {
  if (frameAsked) return;
  frameAsked = true;
  requestAnimationFrame(() => { frameAsked = false; renderNow(); });
}

function renderNow() {
  const one = clip();
  const busy = [...sending.entries()][0];
  const reading = busy ? { name: busy[0], part: busy[1], text: "Receiving" } : one && one.state !== "ready" ? { name: one.name, part: one.expected ? one.frames / one.expected : 0, text: one.frames ? `Reading frame ${one.frames.toLocaleString("en")}${one.expected ? ` of ${one.expected.toLocaleString("en")}` : ""}` : "Reading" } : null;
  $("#empty").hidden = Boolean(one || busy);
  $("#work").hidden = $("#clips").hidden = !(one || busy);
  renderClips();
  $("#reading").hidden = !reading;
  const ready = one?.state === "ready" && !busy;
  $("#reel-body").hidden = $("#desk").hidden = !ready;
  if (reading) {
    $("#clip-name").textContent = reading.name;
    $("#clip-facts").textContent = "";
    $("#reading-text").textContent = `${reading.text} …`;
    setBar($("#reading .bar"), reading.part);
  }
  if (!ready) return;
  $("#clip-name").textContent = one.name;
  $("#clip-facts").textContent = [`${one.width} × ${one.height}`, `${Number(one.fps.toFixed(2))} frames per second`, plural(one.frames, "frame"), seconds(one.seconds), one.codec, ...damage(one)].join(" · ");
  const last = state.last.get(one.key);
  const found = prediction();
  const { known, horizon } = controls.update({ about: state.about, clip: one, last, prediction: found, running: state.predictions.find((p) => p.state === "waiting" || p.state === "predicting"), past: state.predictions });
  reel.fill(one.key, one.frames, one.aspect, (index) => state.tab.preview(one.key, index));
  const moment = `frame ${last}, ${seconds((last / Math.max(1, one.frames)) * one.seconds)}`;
  reel.mark({ last, known: found ? Math.min(found.known, known) : known, horizon: found ? found.horizon : horizon, text: moment });
  $("#reel-text").textContent = `last known: ${moment}`;
  $("#reel-hint").dataset.last = last;
  shown.draw();
  if (state.arrived) focusReel();
}

// What had the focus, such as the button of the example, is hidden with the drop zone.
function focusReel() {
  state.arrived = false;
  const held = document.activeElement;
  if (held === document.body || !held.checkVisibility()) $("#reel").focus({ preventScroll: true });
}

function setBar(bar, part) {
  const percent = Math.round(100 * Math.min(1, Math.max(0, part)));
  bar.setAttribute("aria-valuenow", percent);
  bar.firstElementChild.style.width = `${percent}%`;
}

let drawnClips = "";
function renderClips() {
  const list = state.clips.filter((one) => one.state !== "receiving");
  const now = JSON.stringify([list.map((one) => [one.key, one.name]), state.clip]);
  if (now === drawnClips) return;
  drawnClips = now;
  $("#clip-list").replaceChildren(...list.map((one) => {
    const item = document.createElement("li");
    const pick = Object.assign(document.createElement("button"), { type: "button", className: "pick", textContent: one.name, title: one.name });
    pick.setAttribute("aria-pressed", String(one.key === state.clip));
    pick.addEventListener("click", () => choose(one.key));
    const drop = Object.assign(document.createElement("button"), { type: "button", className: "icon remove", innerHTML: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 4l8 8M12 4l-8 8"/></svg>' });
    drop.setAttribute("aria-label", `Remove ${one.name}`);
    drop.addEventListener("click", () => removeClip(one.key));
    item.append(pick, drop);
    return item;
  }));
}

// Wiring -------------------------------------------------------------------------------------------
$("#file").addEventListener("change", (event) => { take([...event.target.files]); event.target.value = ""; });
$("#add").addEventListener("click", () => $("#file").click());
$("#controls").addEventListener("submit", (event) => { event.preventDefault(); predict(); });
$("#cancel").addEventListener("click", cancel);
$("#speed").addEventListener("change", () => player.restart());
controls.onOpen = (key) => open(key);

let depth = 0;
const carriesFiles = (event) => event.dataTransfer?.types.includes("Files");
addEventListener("dragenter", (event) => { if (carriesFiles(event)) { event.preventDefault(); depth += 1; $("#curtain").hidden = false; } });
addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
addEventListener("dragleave", (event) => { if (carriesFiles(event)) { depth = Math.max(0, depth - 1); if (!depth) $("#curtain").hidden = true; } });
addEventListener("drop", (event) => {
  if (!carriesFiles(event)) return;
  event.preventDefault();
  depth = 0;
  $("#curtain").hidden = true;
  take([...event.dataTransfer.files]);
});
new ResizeObserver(render).observe($("#main"));

installTheme(render);
installKeys({ show, chooseMoment, last: () => state.last.get(state.clip) ?? 0, index: () => state.index, frames, player, predict, cancel, shown, ready: () => clip()?.state === "ready" });

// What clips are sent to comes after the page is drawn: whoever is quicker than the server waits for
// it. After a failure, such as too many open tabs, the next clip tries again.
let starting = null;
function started() {
  starting ??= start().catch((problem) => { starting = null; throw problem; });
  return starting;
}

async function start() {
  if (!state.about) fill(await askAbout());
  await connect();
}

function fill(about) {
  state.about = about;
  controls.fill(about);
  $("#version").textContent = about.version;
  $("#drop-facts").textContent = `MP4, MOV, MKV, WebM, AVI, GIF and more, up to ${Math.floor(about.limits.upload_bytes / 2 ** 20).toLocaleString("en")} MiB and ${about.limits.frames.toLocaleString("en")} frames`;
  $("#examples").hidden = !about.examples.length;
  for (const name of about.examples) {
    const button = Object.assign(document.createElement("button"), { type: "button", className: "link", textContent: `Try ${name}` });
    button.addEventListener("click", () => tryExample(name));
    $("#examples").append(" ", button);
  }
}

async function tryExample(name) {
  forgive();
  try {
    await started();
    asked = true;
    choose(await state.tab.example(name));
  } catch (problem) { complain(problem); }
}

started().catch(complain);
