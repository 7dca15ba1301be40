// Rows of which only those are made that can be seen: a list of 20,000 cells is as quick as one of 20.

import { h } from "./elements.js";

export class Rows {
  // `make(item)` gives the content of a row; `choose(item)` is called when one is chosen.
  constructor({ label, height = 30, make, choose, width = null, name = "row" }) {
    Object.assign(this, { height, make, choose, width, name });
    this.items = [];
    this.drawn = new Map();
    this.active = -1;
    this.chosen = null;
    this.space = h("div", { class: "space" });
    this.element = h("div", { class: "rows", role: "listbox", tabindex: "0", "aria-label": label }, this.space);
    this.id = "rows" + Math.random().toString(36).slice(2);
    this.element.addEventListener("scroll", () => this.draw(), { passive: true });
    this.element.addEventListener("keydown", (event) => this.key(event));
    this.element.addEventListener("click", (event) => {
      const place = Math.floor((event.clientY - this.space.getBoundingClientRect().top) / this.height);
      if (place < 0 || this.items[place] === undefined) return;
      this.active = place;
      this.choose(this.items[place]);
    });
    this.element.addEventListener("focus", () => { if (this.active < 0 && this.items.length) this.move(0); });
    new ResizeObserver(() => this.draw()).observe(this.element);
  }

  set(items, chosen = this.chosen) {
    const same = items.length === this.items.length && items.every((item, place) => item === this.items[place]);
    this.items = items;
    this.chosen = chosen;
    if (!same) this.active = items.indexOf(chosen);
    this.space.style.height = items.length * this.height + "px";
    if (this.width) this.space.style.width = this.width;
    this.draw();
  }

  draw() {
    const above = Math.max(0, Math.floor(this.element.scrollTop / this.height) - 8);
    const below = Math.min(this.items.length, above + Math.ceil(this.element.clientHeight / this.height) + 16);
    // Rows that stay are kept: a click ends on the element on which it began.
    for (const [place, row] of this.drawn) {
      if (place < above || place >= below) { row.remove(); this.drawn.delete(place); }
    }
    for (let place = above; place < below; place += 1) {
      const item = this.items[place];
      let row = this.drawn.get(place);
      if (!row) {
        row = h("div", { class: this.name, role: "option", id: `${this.id}-${place}`, "aria-posinset": place + 1 });
        row.style.top = place * this.height + "px";
        this.drawn.set(place, row);
        this.space.append(row);
      }
      const content = h("div", {}, this.make(item));
      if (row.innerHTML !== content.innerHTML) row.replaceChildren(...content.childNodes);
      row.setAttribute("aria-setsize", this.items.length);
      row.setAttribute("aria-selected", String(item === this.chosen));
      row.classList.toggle("active", place === this.active);
    }
    const active = this.active >= above && this.active < below ? `${this.id}-${this.active}` : "";
    this.element.setAttribute("aria-activedescendant", active);
  }

  move(place) {
    this.active = Math.max(0, Math.min(this.items.length - 1, place));
    const top = this.active * this.height, view = this.element;
    if (top < view.scrollTop) view.scrollTop = top;
    if (top + this.height > view.scrollTop + view.clientHeight) view.scrollTop = top + this.height - view.clientHeight;
    this.draw();
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.element.clientHeight / this.height) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      this.move(Math.min(this.items.length - 1, Math.max(0, this.active + steps[event.key])));
    } else if ((event.key === "Enter" || event.key === " ") && this.items[this.active] !== undefined) {
      event.preventDefault();
      this.choose(this.items[this.active]);
    }
  }
}
