// The clips of this tab, and those that are being sent.

// Replaces the items of a list. The button that had the focus has it again, or the one in its place.
export function refill(list, items) {
  const before = [...list.querySelectorAll("button")];
  const held = before.indexOf(document.activeElement);
  list.replaceChildren(...items);
  if (held < 0) return;
  const now = [...list.querySelectorAll("button")];
  const again = now.find((button) => button.dataset.key === before[held].dataset.key) ?? now[Math.min(held, now.length - 1)];
  (again ?? document.querySelector("#file")).focus({ preventScroll: true });
}

function button(key, properties, pressed) {
  const made = Object.assign(document.createElement("button"), { type: "button", ...properties });
  made.dataset.key = key;
  made.addEventListener("click", pressed);
  return made;
}

function cross(key, label, pressed) {
  const made = button(key, { className: "icon remove", innerHTML: '<svg viewBox="0 0 16 16" aria-hidden="true"><path d="M4 4l8 8M12 4l-8 8"/></svg>' }, pressed);
  made.setAttribute("aria-label", label);
  return made;
}

function entry(...parts) {
  const item = document.createElement("li");
  item.append(...parts);
  return item;
}

export class ClipList {
  #list;
  #does;
  #drawn = "";

  // does: { choose(key), remove(key), stop(upload) }
  constructor(list, does) { [this.#list, this.#does] = [list, does]; }

  fill(clips, chosen, uploads) {
    const now = JSON.stringify([clips.map((one) => [one.key, one.name]), uploads.map((one) => one.id)]);
    if (now !== this.#drawn) refill(this.#list, [...clips.map((one) => this.#clip(one)), ...uploads.map((one) => this.#upload(one))]);
    this.#drawn = now;
    const items = [...this.#list.children];
    clips.forEach((one, k) => items[k].firstChild.setAttribute("aria-pressed", String(one.key === chosen)));
    uploads.forEach((one, k) => {
      const percent = `${Math.round((100 * one.sent) / Math.max(1, one.file.size))}%`;
      items[clips.length + k].style.setProperty("--sent", percent);
      items[clips.length + k].querySelector(".sent").textContent = percent;
    });
  }

  #clip({ key, name }) {
    return entry(
      button(`choose ${key}`, { className: "pick", textContent: name, title: name }, () => this.#does.choose(key)),
      cross(`remove ${key}`, `Remove ${name}`, () => this.#does.remove(key)),
    );
  }

  #upload(one) {
    const { name } = one.file;
    const item = entry(
      Object.assign(document.createElement("span"), { className: "pick", textContent: name, title: name }),
      Object.assign(document.createElement("span"), { className: "sent value" }),
      cross(one.id, `Stop the upload of ${name}`, () => this.#does.stop(one)),
    );
    item.className = "sending";
    return item;
  }
}
