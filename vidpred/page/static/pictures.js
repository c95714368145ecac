// Pictures by address: loaded once, drawn when they are there.

const MOST = 600;

export class Pictures {
  #images = new Map();

  // Gives the image when it is there; else undefined, and calls `arrived` later.
  get(url, arrived) {
    const held = this.#images.get(url);
    if (held) {
      if (held.ready) return held.image;
      if (arrived) held.waiting.add(arrived);
      return undefined;
    }
    const entry = { image: new Image(), ready: false, waiting: new Set(arrived ? [arrived] : []) };
    this.#images.set(url, entry);
    if (this.#images.size > MOST) this.#images.delete(this.#images.keys().next().value);
    entry.image.src = url;
    entry.image.decode().then(
      () => { entry.ready = true; for (const call of entry.waiting) call(); entry.waiting.clear(); },
      () => this.#images.delete(url),
    );
    return undefined;
  }

  clear() { this.#images.clear(); }
}

// Draws an image pixel by pixel; without one what was there stays, or is cleared.
export function draw(canvas, image, { clear = false } = {}) {
  const context = canvas.getContext("2d");
  if (!image) {
    if (clear) context.clearRect(0, 0, canvas.width, canvas.height);
    return;
  }
  if (canvas.width !== image.naturalWidth || canvas.height !== image.naturalHeight) {
    canvas.width = image.naturalWidth;
    canvas.height = image.naturalHeight;
    canvas.classList.toggle("tiny", image.naturalWidth < 200);
  }
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0);
}
