// The cells of a stage side by side: what differs between them, and their numbers.

import { h, ask, number } from "./elements.js";
import { Rows } from "./list.js";

export class Compare {
  constructor(element, plan, open) {
    Object.assign(this, { element, plan, open });
  }

  async show(stage) {
    const found = await ask("api/compare", { stage });
    const columns = [{ name: "cell", what: "" }, ...found.columns];
    const items = found.rows.map(([cell, values]) => ({ cell, values: [this.plan().names[cell], ...values] }));
    const numeric = columns.map((_, column) => items.some((item) => typeof item.values[column] === "number"));
    const text = (value) => (value === null || value === undefined ? "" : typeof value === "number" ? number(value) : typeof value === "string" ? value : JSON.stringify(value));
    const longest = (column) => Math.max(columns[column].name.length + 3, ...items.slice(0, 300).map((item) => text(item.values[column]).length));
    const widths = columns.map((_, column) => Math.min(34, Math.max(7, longest(column) + 2)) + "ch");
    const cells = (item) => item.values.map((value, column) => {
      const cell = h("div", { class: "grid-cell" + (numeric[column] ? " number" : "") }, text(value));
      cell.style.width = widths[column];
      return cell;
    });
    this.rows = new Rows({
      label: `Cells of ${stage}`, name: "row grid-row", make: cells, choose: (item) => this.open(item.cell),
      width: `calc(${widths.join(" + ")})`,
    });
    let order = { column: -1, down: false }, wanted = "";
    const head = columns.map((column, place) => {
      const button = h("button", { type: "button", class: numeric[place] ? "number" : "", title: `${column.what} ${column.name}: sort` }, h("b", {}, column.name));
      button.style.width = widths[place];
      button.addEventListener("click", () => {
        order = { column: place, down: order.column === place ? !order.down : numeric[place] && column.what !== "axis" };
        draw();
      });
      return button;
    });
    const told = h("p", { class: "facts", role: "status" });
    const draw = () => {
      const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = items.filter((item) => words.every((word) => item.values.some((value) => text(value).toLowerCase().includes(word))));
      if (order.column >= 0) {
        const key = (item) => item.values[order.column];
        const rank = (value) => (value === null || value === undefined ? 1 : 0);
        shown = [...shown].sort((a, b) => {
          const [x, y] = [key(a), key(b)];
          // What has no value comes last, either way.
          if (rank(x) || rank(y)) return rank(x) - rank(y);
          const found = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y), undefined, { numeric: true });
          return order.down ? -found : found;
        });
      }
      head.forEach((button, place) => {
        const on = place === order.column;
        button.setAttribute("aria-pressed", String(on));
        button.firstChild.textContent = columns[place].name + (on ? (order.down ? " ↓" : " ↑") : "");
      });
      told.textContent = `${shown.length} of ${items.length} cells; columns that are the same in all are left out`;
      this.rows.set(shown, null);
    };
    const filter = h("input", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows", oninput: (event) => { wanted = event.target.value; draw(); } });
    this.rows.element.prepend(h("div", { class: "head" }, head));
    this.element.replaceChildren(h("h2", {}, `${stage}: cells compared`), told, filter, h("div", { class: "compare" }, this.rows.element));
    this.element.scrollTop = 0;
    draw();
  }
}
