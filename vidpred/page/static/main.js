// The page's state, and what changes it.

import { Problem, Tab, about as askAbout } from "/static/api.js";
import { Pictures } from "/static/pictures.js";
import { Reel } from "/static/reel.js";
import { Player } from "/static/player.js";
import { Shown } from "/static/shown.js";
import { ClipList } from "/static/clips.js";
import { Controls } from "/static/controls.js";
import { installKeys, installTheme } from "/static/keys.js";
import { damage, mebibytes, plural, seconds } from "/static/words.js";

const $ = (selector, root = document) => root.querySelector(selector);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const STORED = "vidpred-tab";
const TOO_MANY = 429; // the status of a refusal that meets each further clip too

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
const uploads = []; // files that are sent or wait for their turn: { id, file, sent in bytes, stopper }
let uploaded = 0;

async function take(files) {
  forgive();
  try { await started(); } catch (problem) { complain(problem); return; }
  asked = true;
  const most = state.about.limits.upload_bytes;
  for (const file of files.filter((one) => one.size > most)) complain(new Problem(`${file.name}: it has ${Math.ceil(file.size / 2 ** 20).toLocaleString("en")} MiB; expected at most ${Math.floor(most / 2 ** 20).toLocaleString("en")} MiB. Cut out the part to predict, or start vidpred serve with a larger --max-upload.`), { also: true });
  const taken = files.filter((one) => one.size <= most).map((file) => ({ id: `upload ${uploaded++}`, file, sent: 0, stopper: new AbortController() }));
  uploads.push(...taken);
  render();
  for (const one of taken) await send(one, taken);
}

async function send(one, together) {
  if (one.stopper.signal.aborted) return;
  const before = { ...state };
  try {
    const key = await state.tab.upload(one.file, (sent) => { one.sent = sent; render(); }, one.stopper.signal);
    // Whoever has turned to something else meanwhile is not called away.
    if (key && [before.clip, key].includes(state.clip) && state.prediction === before.prediction) choose(key);
  } catch (problem) {
    complain(problem, { also: true });
    const rest = problem.status === TOO_MANY ? together.filter((other) => other !== one && uploads.includes(other)) : [];
    if (rest.length) complain(new Problem(`Not sent either: ${rest.map((other) => other.file.name).join(", ")}.`), { also: true });
    rest.forEach(end);
  } finally { end(one); }
}

function end(upload) {
  upload.stopper.abort();
  if (uploads.includes(upload)) uploads.splice(uploads.indexOf(upload), 1);
  render();
}

function stop(upload) {
  end(upload);
  say(`${upload.file.name}: upload stopped`);
}

addEventListener("beforeunload", (event) => { if (uploads.length) event.preventDefault(); });

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

const running = () => state.predictions.find((one) => one.state === "waiting" || one.state === "predicting");

async function cancel() {
  if (!running()) return;
  await state.tab.removePrediction(running().key).catch(complain);
  say("Canceled");
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
  if (fresh && running()) { open(running().key, { follow: true }); advance(prediction()); }
  if (state.clip && !clip()) state.clip = null;
  const come = state.clips.filter((one) => one.state !== "receiving");
  if (!state.clip && come.length) {
    choose(come.at(-1).key);
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
const clipList = new ClipList($("#clip-list"), { choose, remove: removeClip, stop });
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
  const ready = one?.state === "ready";
  const reading = ready ? null : waitedFor(one);
  $("#empty").hidden = Boolean(one || reading);
  $("#work").hidden = $("#clips").hidden = !(one || reading);
  clipList.fill(state.clips.filter((other) => other.state !== "receiving"), state.clip, uploads);
  $("#reading").hidden = !reading;
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
  const { known, horizon } = controls.update({ about: state.about, clip: one, last, prediction: found, running: running(), past: state.predictions.filter((other) => other.clip === one.key) });
  reel.fill(one.key, one.frames, one.aspect, (index) => state.tab.preview(one.key, index));
  const moment = `frame ${last}, ${seconds((last / Math.max(1, one.frames)) * one.seconds)}`;
  reel.mark({ last, known: found ? Math.min(found.known, known) : known, horizon: found ? found.horizon : horizon, text: moment });
  $("#reel-text").textContent = `last known: ${moment}`;
  $("#reel-hint").dataset.last = last;
  shown.draw();
  if (state.arrived) focusReel();
}

// What the page waits for while no clip that is ready is chosen.
function waitedFor(one) {
  const [upload] = uploads;
  if (upload && one?.state !== "reading") return { name: upload.file.name, part: upload.sent / Math.max(1, upload.file.size), text: `Receiving ${mebibytes(upload.sent)} of ${mebibytes(upload.file.size)} MiB` };
  if (!one) return null;
  const all = one.expected ? ` of ${one.expected.toLocaleString("en")}` : "";
  return { name: one.name, part: one.expected ? one.frames / one.expected : 0, text: one.frames ? `Reading frame ${one.frames.toLocaleString("en")}${all}` : "Reading" };
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
installKeys({ show, chooseMoment, last: () => state.last.get(state.clip) ?? 0, index: () => state.index, frames, player, predict, shown, ready: () => clip()?.state === "ready", cancel: () => (uploads.length ? stop(uploads[0]) : clip()?.state === "ready" && cancel()) });

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
