// Steps through frames by the clock.

export class Player {
  #asks;
  #timer = null;
  #begun = 0;
  #from = 0;

  // asks: frames(), index(), rate() in frames per second, loops(), show(index), changed()
  constructor(asks) { this.#asks = asks; }

  get playing() { return this.#timer !== null; }

  play() {
    if (this.playing || this.#asks.frames() < 2) return;
    if (!this.#asks.loops() && this.#asks.index() >= this.#asks.frames() - 1) this.#asks.show(0);
    this.#timer = 0;
    this.restart();
    this.#asks.changed();
  }

  pause() {
    if (!this.playing) return;
    cancelAnimationFrame(this.#timer);
    this.#timer = null;
    this.#asks.changed();
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  // Counts from the frame that is shown now, after a jump or another speed.
  restart() {
    if (!this.playing) return;
    cancelAnimationFrame(this.#timer);
    [this.#begun, this.#from] = [performance.now(), this.#asks.index()];
    this.#timer = requestAnimationFrame((now) => this.#tick(now));
  }

  #tick(now) {
    const { frames, rate, loops, show, index } = this.#asks;
    const count = frames();
    if (count < 2) { this.pause(); return; }
    let next = this.#from + Math.floor(((now - this.#begun) / 1000) * rate());
    // The last frame of a loop is held for a moment, so that the eye finds the end.
    const pause = Math.ceil(rate() * 0.6);
    if (loops()) next %= count + pause;
    else if (next >= count) { show(count - 1); this.pause(); return; }
    next = Math.min(next, count - 1);
    if (next !== index()) show(next);
    this.#timer = requestAnimationFrame((later) => this.#tick(later));
  }
}
