// The stages as a graph: one box a stage, however many cells it has.

import { svg, styleOf } from "./elements.js";

const WIDTH = 158, HEIGHT = 48, ACROSS = 44, DOWN = 12;

// Where each stage stands: in a column behind all that it reads, in an order with few crossings.
function layout(stages) {
  const column = stages.map(() => 0);
  // The file's order need not be upstream first.
  const depth = (stage, path) => {
    if (column[stage] || path.has(stage)) return column[stage];
    path.add(stage);
    const reads = stages[stage].reads.filter((other) => other !== stage);
    column[stage] = reads.length ? 1 + Math.max(...reads.map((other) => depth(other, path))) : 0;
    path.delete(stage);
    return column[stage];
  };
  stages.forEach((_, stage) => depth(stage, new Set()));
  const columns = [];
  stages.forEach((_, stage) => (columns[column[stage]] ??= []).push(stage));
  const readers = stages.map(() => []);
  stages.forEach((one, stage) => one.reads.forEach((other) => readers[other].push(stage)));
  const place = stages.map(() => 0);
  const number = () => columns.forEach((list) => list.forEach((stage, order) => { place[stage] = order - (list.length - 1) / 2; }));
  number();
  for (let sweep = 0; sweep < 6; sweep += 1) {
    for (const list of columns) {
      const mean = (stage) => {
        const near = sweep % 2 ? readers[stage] : stages[stage].reads;
        return near.length ? near.reduce((sum, other) => sum + place[other], 0) / near.length : place[stage];
      };
      const wanted = new Map(list.map((stage) => [stage, mean(stage)]));
      list.sort((a, b) => wanted.get(a) - wanted.get(b));
    }
    number();
  }
  const tallest = Math.max(...columns.map((list) => list.length));
  return {
    at: stages.map((_, stage) => ({
      x: column[stage] * (WIDTH + ACROSS) + 2,
      y: (place[stage] + (tallest - 1) / 2) * (HEIGHT + DOWN) + 2,
    })),
    width: columns.length * (WIDTH + ACROSS) - ACROSS + 4,
    height: tallest * (HEIGHT + DOWN) - DOWN + 4,
  };
}

export class Graph {
  constructor(element, choose) {
    this.element = element;
    this.choose = choose;
  }

  // Draws another plan.
  set(plan) {
    this.plan = plan;
    const { at, width, height } = layout(plan.stages);
    this.edges = [];
    this.nodes = plan.stages.map((stage, place) => {
      const { x, y } = at[place];
      const short = (text, most) => (text.length > most ? text.slice(0, most - 1) + "…" : text);
      const bar = svg("g", {});
      const node = svg("g", { class: "node", role: "button", tabindex: "0", transform: `translate(${x} ${y})`, "aria-pressed": "false" },
        svg("rect", { class: "box", width: WIDTH, height: HEIGHT, rx: 6 }),
        svg("text", { x: 8, y: 17 }, short(stage.name, 23)),
        svg("text", { class: "kind", x: 8, y: 31 }, short(stage.kind + (stage.cells > 1 ? ` × ${stage.cells}` : ""), 27)),
        bar);
      node.addEventListener("click", () => this.choose(stage.name));
      node.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") { event.preventDefault(); this.choose(stage.name); }
      });
      return { node, bar, title: svg("title") };
    });
    this.nodes.forEach(({ node, title }) => node.prepend(title));
    plan.stages.forEach((stage, place) => stage.reads.forEach((other) => {
      const from = at[other], to = at[place];
      const [x1, y1, x2, y2] = [from.x + WIDTH, from.y + HEIGHT / 2, to.x, to.y + HEIGHT / 2];
      const bend = Math.max(20, (x2 - x1) / 2);
      const path = svg("path", { class: "edge", d: `M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}` });
      this.edges.push({ path, from: other, to: place });
    }));
    this.element.replaceChildren(svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group" },
      this.edges.map((edge) => edge.path), this.nodes.map((one) => one.node)));
  }

  // Shows how many cells of each stage are in which state.
  states(counts) {
    const words = this.plan.statuses;
    this.nodes.forEach(({ node, bar, title }, place) => {
      const stage = this.plan.stages[place];
      let x = 8;
      const parts = [], told = [];
      words.forEach((word, status) => {
        const count = counts[place][status];
        if (!count) return;
        told.push(`${count} ${word}`);
        const width = (WIDTH - 16) * count / stage.cells;
        parts.push(svg("rect", { class: "f-" + styleOf(word), x, y: 37, width: Math.max(width, 1.5), height: 5, rx: 1 }));
        x += width;
      });
      bar.replaceChildren(...parts);
      const text = `${stage.name}, ${stage.kind}: ${told.join(", ")}`;
      title.textContent = text;
      node.setAttribute("aria-label", text);
    });
  }

  select(name) {
    const chosen = this.plan.stages.findIndex((stage) => stage.name === name);
    this.nodes.forEach(({ node }, place) => node.setAttribute("aria-pressed", String(place === chosen)));
    this.edges.forEach(({ path, from, to }) => path.classList.toggle("near", from === chosen || to === chosen));
    if (chosen >= 0) this.nodes[chosen].node.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
