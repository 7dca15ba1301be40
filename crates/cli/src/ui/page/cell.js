// All about one cell.

import { h, ask, number, seconds, bytes, when, status } from "./elements.js";
import { Chart } from "./chart.js";

const TABLE_ROWS = 100, PICTURES = 24;

export class Cell {
  // `open(number)` shows another cell; `plan()` is the plan that is shown.
  constructor(element, plan, open) {
    Object.assign(this, { element, plan, open });
  }

  query(more = {}) {
    return { edition: this.plan().edition, cell: this.cell, ...more };
  }

  async show(cell) {
    this.cell = cell;
    const found = await ask("api/cell", this.query());
    if (this.cell !== cell) return;
    this.word = found.status;
    this.charts = new Map();
    this.mark = "";
    this.logged = null;
    this.curves = h("div", { class: "charts" });
    this.curvesTitle = h("h3", { hidden: true }, "Curves");
    this.progress = h("div", { role: "status" });
    this.log = h("pre", { tabindex: "0", "aria-label": "Log" });
    this.element.replaceChildren(
      h("h2", {}, found.name), this.facts(found), this.progress,
      this.curvesTitle, this.curves, ...this.reasons(found), ...this.numbers(found), ...this.outputs(found),
      ...this.parameters(found), ...this.neighbours(found), ...(found.log ? [h("h3", {}, "Log"), this.log] : []), this.why());
    this.element.scrollTop = 0;
    await this.refresh();
  }

  clear() {
    this.cell = null;
  }

  facts(found) {
    const facts = [status(found.status), `   kind ${found.kind}, version ${found.version}`];
    const { result, journal } = found;
    if (result) {
      facts.push(`; computed ${when(result.started)} in ${seconds(result.seconds)} on ${result.device} with ${result.threads} ${result.threads === 1 ? "thread" : "threads"} by sconce ${result.sconce}`);
      if (result.cell !== found.name) facts.push(`, by cell ${result.cell} of ${result.pipeline}`);
    } else if (journal) {
      facts.push(`; started ${when(journal.started)}`);
      if (found.status !== "running") facts.push(`, last heard of ${when(journal.told)}`);
    }
    if (journal && journal.starts > 1) facts.push(`; started ${journal.starts} times`);
    return h("p", { class: "facts" }, facts);
  }

  reasons(found) {
    const parts = [];
    if (found.error) parts.push(h("h3", {}, "Why it failed"), h("pre", { tabindex: "0" }, found.error));
    if (found.reasons.length) parts.push(h("h3", {}, found.status === "running" ? "Why it runs" : "Why it will run"), h("ul", {}, found.reasons.map((reason) => h("li", {}, reason))));
    return parts;
  }

  numbers(found) {
    const metrics = Object.entries(found.result?.metrics ?? {});
    if (!metrics.length) return [];
    return [h("h3", {}, "Metrics"), rows(metrics.map(([name, value]) => [name, number(value)]), [false, true])];
  }

  parameters(found) {
    const seed = found.result?.seed;
    // Texts as they were written, without JSON's quotes.
    const plain = ([path, value]) => [path, value.startsWith('"') ? JSON.parse(value) : value];
    const own = [...found.parameters.map(plain), ...(seed === null || seed === undefined ? [] : [["seed", String(seed)]])];
    const parts = [h("h3", {}, "Parameters")];
    if (own.length) parts.push(rows(own));
    if (found.defaults.length) parts.push(h("details", {}, h("summary", {}, `${found.defaults.length} at their defaults`), rows(found.defaults.map(plain))));
    if (found.result) parts.push(h("p", { class: "facts mono" }, "key " + found.result.key));
    return own.length + found.defaults.length || found.result ? parts : [];
  }

  neighbours(found) {
    const list = (title, { cells, more }) => (cells.length ? [h("h3", {}, title), h("div", { class: "links" },
      cells.map((cell) => h("button", { type: "button", onclick: () => this.open(cell) }, this.plan().names[cell])),
      more ? `and ${more} more` : null)] : []);
    return [...list("Reads", found.reads), ...list("Read by", found.readers)];
  }

  outputs(found) {
    const parts = [];
    for (const output of found.result?.outputs ?? []) {
      const url = (name) => `file/${output.digest}/${name.split("/").map(encodeURIComponent).join("/")}`;
      const facts = `${output.artifact}, ${output.count} ${output.count === 1 ? "file" : "files"}, ${bytes(output.size)}`;
      parts.push(h("h3", {}, "Output ", h("code", {}, output.name)), h("p", { class: "facts" }, facts));
      const pictures = output.files.filter(([, , type]) => type?.startsWith("image/"));
      // A figure is one picture in several forms.
      const figure = pictures.find(([, , type]) => type === "image/svg+xml") ?? (pictures.length === 1 ? pictures[0] : null);
      if (figure && pictures.length <= 3) {
        parts.push(h("div", { class: "figure" }, h("img", { src: url(figure[0]), alt: `${found.name}, ${output.name}`, loading: "lazy" })));
      } else if (pictures.length) {
        parts.push(h("div", { class: "thumbs" }, pictures.slice(0, PICTURES).map(([name]) =>
          h("a", { href: url(name), target: "_blank", rel: "noopener" }, h("img", { src: url(name), alt: name, loading: "lazy" })))));
      }
      const table = output.files.find(([name]) => name === "table.json");
      if (table) parts.push(this.table(url("table.json")));
      const small = output.files.find(([name, size, type]) => !table && type && !type.startsWith("image/") && size <= 20000 && /\.(json|txt|md)$/.test(name));
      if (small && output.count === 1) parts.push(this.text(url(small[0])));
      const links = output.files.map(([name, size, type]) => h("li", {}, h("a", { href: url(name), ...(type ? { target: "_blank", rel: "noopener" } : { download: name.split("/").at(-1) }) }, name), ` ${bytes(size)}`));
      const more = output.count - output.files.length;
      parts.push(h("details", {}, h("summary", {}, "Files"), h("ul", {}, links), more > 0 ? `and ${more} more` : null));
    }
    return parts;
  }

  text(url) {
    const pre = h("pre", { tabindex: "0" }, "…");
    fetch(url).then((answer) => answer.text()).then((text) => { pre.textContent = text; }, (error) => { pre.textContent = error; });
    return pre;
  }

  table(url) {
    const place = h("div", { class: "wide" });
    fetch(url).then((answer) => answer.json()).then((table) => {
      const head = table.columns.map((column) => column.name);
      const numeric = table.columns.map((column) => column.type === "number" || column.type === "integer");
      const text = (value, column) => (value === null ? "" : typeof value !== "number" ? String(value)
        : table.columns[column].decimals === undefined ? number(value) : value.toFixed(table.columns[column].decimals));
      const draw = (most) => {
        const shown = table.rows.slice(0, most).map((row) => row.map(text));
        place.replaceChildren(rows(shown, numeric, head));
        if (table.rows.length > most) {
          const more = Math.min(table.rows.length, most * 10);
          place.append(h("button", { type: "button", onclick: () => draw(more) }, `Show ${more} of ${table.rows.length} rows`));
        }
      };
      draw(TABLE_ROWS);
      if (table.caption) place.prepend(h("p", { class: "facts" }, table.caption));
    }, (error) => place.replaceChildren(String(error)));
    return place;
  }

  why() {
    const text = h("pre", { tabindex: "0" }, "…");
    const element = h("details", {}, h("summary", {}, "The whole story: why it ran, and what of"), text);
    element.addEventListener("toggle", async () => {
      if (element.open) text.textContent = (await ask("api/why", this.query())).lines.join("\n");
    });
    return element;
  }

  // What changes while a cell runs.
  async refresh() {
    const cell = this.cell;
    const found = await ask("api/curves", this.query({ mark: this.mark }));
    if (this.cell !== cell) return;
    this.mark = found.mark;
    if (found.curves) this.draw(found.curves);
    await this.readLog(cell);
  }

  draw(curves) {
    const names = [...new Set(curves.map((curve) => curve.name))];
    for (const name of names) {
      if (!this.charts.has(name)) {
        this.charts.set(name, new Chart(name));
        this.curves.append(this.charts.get(name).element);
      }
      this.charts.get(name).set(curves.filter((curve) => curve.name === name));
    }
    this.curvesTitle.hidden = names.length === 0;
  }

  async readLog(cell) {
    const from = this.logged === null ? {} : { from: this.logged };
    const log = await ask("api/log", this.query(from));
    if (this.cell !== cell) return;
    if (this.logged !== null && log.from !== this.logged) this.log.textContent = "";
    const below = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 8;
    if (log.text) this.log.append(log.text);
    if (this.logged === null || below) this.log.scrollTop = this.log.scrollHeight;
    this.logged = log.to;
  }

  // What a running cell tells.
  tell(running) {
    if (!running) return this.progress.replaceChildren();
    const parts = [];
    if (running.progress) {
      const [done, total, unit] = running.progress;
      if (total) parts.push(h("progress", { value: done, max: total, "aria-label": "progress" }), " ");
      parts.push(total ? `${done} of ${total} ${unit}` : `${done} ${unit}`);
      if (running.left !== null) parts.push(`, ${seconds(running.left)} left`);
    }
    if (running.note) parts.push(h("div", { class: "facts" }, running.note));
    this.progress.replaceChildren(...parts);
  }
}

function rows(list, numeric = [], head = null) {
  const cell = (tag) => (value, column) => h(tag, numeric[column] ? { class: "number" } : {}, value);
  return h("div", { class: "wide" }, h("table", {},
    head ? h("thead", {}, h("tr", {}, head.map(cell("th")))) : null,
    h("tbody", {}, list.map((row) => h("tr", {}, row.map(cell("td")))))));
}
