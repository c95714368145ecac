// The clip as a strip of frames, on which the last known frame is chosen.

const HEIGHT = 68; // pixels, as in the style sheet

export class Reel {
  #strip;
  #frames = 1;
  #drawn = "";

  constructor(strip, chosen) {
    this.#strip = strip;
    const choose = (event) => {
      const box = strip.getBoundingClientRect();
      const place = (event.clientX - box.left) / box.width;
      chosen(Math.min(this.#frames - 1, Math.max(0, Math.floor(place * this.#frames))));
    };
    strip.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      strip.setPointerCapture(event.pointerId);
      strip.focus({ preventScroll: true });
      choose(event);
    });
    strip.addEventListener("pointermove", (event) => strip.hasPointerCapture(event.pointerId) && choose(event));
  }

  // Shows as many thumbnails as fit, all of them new when the clip or the width is.
  fill(key, frames, aspect, urlOf) {
    this.#frames = frames;
    const count = Math.max(1, Math.min(frames, Math.ceil(this.#strip.clientWidth / (HEIGHT * aspect))));
    const now = `${key} ${frames} ${count}`;
    if (now === this.#drawn) return;
    this.#drawn = now;
    const thumbs = Array.from({ length: count }, (_, k) => {
      const image = new Image();
      image.alt = "";
      image.draggable = false;
      image.src = urlOf(Math.floor(((k + 0.5) / count) * frames));
      return image;
    });
    this.#strip.querySelector(".thumbs").replaceChildren(...thumbs);
  }

  // Marks `known` frames up to `last`, and `horizon` ones after it.
  mark({ last, known, horizon, text }) {
    const percent = (frame) => `${(Math.min(this.#frames, Math.max(0, frame)) / this.#frames) * 100}%`;
    const place = (selector, from, to) => {
      const span = this.#strip.querySelector(selector);
      span.style.left = percent(from);
      span.style.right = `calc(100% - ${percent(to)})`;
    };
    place(".known", last + 1 - known, last + 1);
    place(".future", last + 1, last + 1 + horizon);
    this.#strip.querySelector(".handle").style.left = percent(last + 1);
    this.#strip.setAttribute("aria-valuemin", 0);
    this.#strip.setAttribute("aria-valuemax", this.#frames - 1);
    this.#strip.setAttribute("aria-valuenow", last);
    this.#strip.setAttribute("aria-valuetext", text);
  }
}
