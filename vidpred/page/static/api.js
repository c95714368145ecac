// What the page asks the server, and what it hears from it.

export class Problem extends Error {
  // `status` is that of the server's answer; undefined when there was none.
  constructor(message, status) { super(message); this.status = status; }
}

const SILENT = "The server does not answer. Is vidpred serve still running?";

async function ask(path, options = {}) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Problem(SILENT);
  }
  if (response.ok) return response.status === 204 ? null : response.json();
  const said = await response.json().catch(() => ({}));
  throw new Problem(said.problem ?? `The server answered ${response.status}.`, response.status);
}

export const about = () => ask("/api/about");

export class Tab {
  constructor(key) {
    this.key = key;
    this.path = `/api/tabs/${key}`;
  }

  static async open() {
    return new Tab((await ask("/api/tabs", { method: "POST" })).tab);
  }

  // Calls `changed` with all that this tab holds, now and after every change.
  listen({ changed, silent, lost }) {
    const source = new EventSource(`${this.path}/events`);
    source.onmessage = (event) => changed(JSON.parse(event.data));
    source.onerror = () => (source.readyState === EventSource.CLOSED ? lost() : silent());
    return () => source.close();
  }

  // Gives the key of the clip; null when `signal` stops it. `progress` gets the bytes that are sent.
  // XMLHttpRequest, since fetch does not say how much has been sent.
  upload(file, progress, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      let sent = 0;
      request.open("POST", `${this.path}/clips?name=${encodeURIComponent(file.name)}`);
      request.responseType = "json";
      request.upload.onprogress = (event) => { sent = event.loaded; progress(Math.min(sent, file.size)); };
      request.onload = () => (request.status < 300 ? resolve(request.response.clip) : reject(new Problem(request.response?.problem ?? `The server answered ${request.status}.`, request.status)));
      request.onerror = () => reject(new Problem(sent ? `${file.name}: the upload was interrupted; try again.` : `${file.name}: it was not sent. ${SILENT}`));
      request.onabort = () => resolve(null);
      signal.addEventListener("abort", () => request.abort());
      request.send(file);
    });
  }

  async example(name) {
    return (await ask(`${this.path}/examples/${encodeURIComponent(name)}`, { method: "POST" })).clip;
  }

  async predict(question) {
    const body = JSON.stringify(question);
    return (await ask(`${this.path}/predictions`, { method: "POST", body })).prediction;
  }

  removePrediction(key) { return ask(`${this.path}/predictions/${key}`, { method: "DELETE" }); }
  removeClip(key) { return ask(`${this.path}/clips/${key}`, { method: "DELETE" }); }
  preview(clip, index) { return `${this.path}/clips/${clip}/frames/${index}.jpg`; }
  picture(prediction, kind, future, step) { return `${this.path}/predictions/${prediction}/${kind}/${future}/${step}.png`; }
}
