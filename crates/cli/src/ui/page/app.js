// The page: what is chosen, and how it is kept up to date.

import { h, ask, number, seconds, sign, status } from "./elements.js";
import { Graph } from "./graph.js";
import { Rows } from "./list.js";
import { Cell } from "./cell.js";
import { Compare } from "./compare.js";

const get = (id) => document.getElementById(id);
let plan = null, revision = 0, letters = "", running = new Map();
let stage = null, statuses = new Set(), wanted = "", view = { what: "none" };

const openCell = (cell) => go({ cell: plan.names[cell] });
const graph = new Graph(get("graph"), (name) => go(stage === name ? {} : { stage: name }));
const cell = new Cell(get("detail"), () => plan, openCell);
const compare = new Compare(get("detail"), () => plan, openCell);
const list = new Rows({ label: "Cells", make: row, choose: openCell });
get("list").append(list.element);

// The address behind `#` says what is shown, so that the browser's buttons work.
function go(what) {
  const next = new URLSearchParams(what);
  if (stage && !("stage" in what) && Object.keys(what).length) next.set("stage", stage);
  location.hash = next.toString();
}

async function route() {
  const asked = new URLSearchParams(location.hash.slice(1));
  stage = plan.stages.some((one) => one.name === asked.get("stage")) ? asked.get("stage") : null;
  graph.select(stage);
  get("all").hidden = !stage;
  get("compare").hidden = !(stage && plan.stages.find((one) => one.name === stage).cells > 1);
  const number = plan.names.indexOf(asked.get("cell"));
  const compared = plan.stages.find((one) => one.name === asked.get("compare"));
  const next = number >= 0 ? { what: "cell", cell: number } : compared ? { what: "compare", stage: compared.name } : { what: "none" };
  const same = JSON.stringify(next) === JSON.stringify(view);
  view = next;
  filter();
  if (same && view.what !== "none") return;
  try {
    if (view.what === "cell") {
      await cell.show(view.cell);
      cell.tell(running.get(view.cell));
      if (narrow()) get("detail").scrollIntoView();
    } else {
      cell.clear();
      if (view.what === "compare") await compare.show(view.stage);
      else overview();
    }
  } catch (error) {
    get("detail").replaceChildren(h("p", {}, String(error.message)));
  }
}

const narrow = () => matchMedia("(max-width: 800px)").matches;

// What is running, where nothing is chosen.
function overview() {
  const parts = [h("h2", {}, stage ? `Stage ${stage}` : "Running now")];
  const list = [...running.values()].filter((one) => !stage || stageOf(one.cell) === stage);
  if (!list.length) parts.push(h("p", { class: "facts" }, "Nothing is running. Choose a stage or a cell."));
  for (const one of list.slice(0, 50)) {
    const facts = [];
    if (one.progress) {
      const [done, total, unit] = one.progress;
      facts.push(total ? h("progress", { value: done, max: total, "aria-label": "progress" }) : "", total ? ` ${done} of ${total} ${unit}` : ` ${done} ${unit}`);
    }
    if (one.left !== null) facts.push(`, ${seconds(one.left)} left`);
    const values = one.values.map(([name, value]) => `${name} ${number(value)}`).join(", ");
    parts.push(h("p", {}, h("button", { type: "button", onclick: () => openCell(one.cell) }, plan.names[one.cell]), " ", facts, values ? `, ${values}` : ""));
  }
  const names = (stage ? plan.stages.filter((one) => one.name === stage) : []).flatMap((one) => [`kind ${one.kind}`, `${one.cells} ${one.cells === 1 ? "cell" : "cells"}`, ...(one.axes.length ? ["axes " + one.axes.join(", ")] : [])]);
  if (names.length) parts.splice(1, 0, h("p", { class: "facts" }, names.join("; ")));
  get("detail").replaceChildren(...parts);
}

const stageOf = (cell) => plan.stages[plan.stageOf[cell]].name;

function row(cell) {
  const word = plan.statuses[letters.charCodeAt(cell) - 97];
  const one = running.get(cell);
  const more = [];
  if (one?.progress?.[1]) more.push(`${Math.floor(one.progress[0] / one.progress[1] * 100)} %`);
  if (one?.values.length) more.push(`${one.values[0][0]} ${number(one.values[0][1])}`);
  return [sign(word), plan.names[cell],
    more.length ? h("span", { class: "more" }, more.join(", ")) : ""];
}

function filter() {
  const words = wanted.toLowerCase().split(/\s+/).filter(Boolean);
  const one = plan.stages.find((other) => other.name === stage);
  const [first, last] = one ? [one.first, one.first + one.cells] : [0, plan.names.length];
  const found = [];
  for (let cell = first; cell < last; cell += 1) {
    if (statuses.size && !statuses.has(letters.charCodeAt(cell) - 97)) continue;
    if (words.length && !words.every((word) => plan.lower[cell].includes(word))) continue;
    found.push(cell);
  }
  get("found").textContent = `${found.length} of ${plan.names.length} cells`;
  list.set(found, view.what === "cell" ? view.cell : null);
}

function count() {
  const counts = plan.stages.map(() => plan.statuses.map(() => 0));
  const all = plan.statuses.map(() => 0);
  for (let cell = 0; cell < letters.length; cell += 1) {
    const place = letters.charCodeAt(cell) - 97;
    counts[plan.stageOf[cell]][place] += 1;
    all[place] += 1;
  }
  graph.states(counts);
  const buttons = plan.statuses.map((word, place) => (all[place] || statuses.has(place) ? h("button", {
    type: "button", "aria-pressed": String(statuses.has(place)), "data-status": word,
    onclick: () => { if (!statuses.delete(place)) statuses.add(place); count(); filter(); },
  }, status(word), ` ${all[place]}`) : null)).filter(Boolean);
  const focused = get("counts").contains(document.activeElement) ? document.activeElement.dataset.status : null;
  get("counts").replaceChildren(...buttons);
  if (focused) buttons.find((button) => button.dataset.status === focused)?.focus();
}

async function loadPlan() {
  plan = await ask("api/plan");
  plan.lower = plan.names.map((name) => name.toLowerCase());
  plan.stageOf = new Int32Array(plan.names.length);
  plan.stages.forEach((one, place) => plan.stageOf.fill(place, one.first, one.first + one.cells));
  document.title = `${plan.pipeline} – sconce`;
  get("pipeline").textContent = plan.pipeline;
  const layers = [...plan.profiles.map((name) => `--profile ${name}`), ...plan.sets.map((set) => `--set ${set}`)].join(" ");
  get("about").textContent = [plan.description, `${plan.file} ${layers}`.trim()].filter(Boolean).join(" · ");
  graph.set(plan);
}

async function poll() {
  let known = plan !== null;
  const found = await ask("api/state", { since: known ? revision : 0 });
  get("problem").hidden = !found.problem;
  get("problem").textContent = found.problem;
  if (!known || found.edition !== plan.edition) {
    await loadPlan();
    view = { what: "none" };
    known = false;
    if (!found.states) return poll();
  }
  running = new Map(found.running.map((one) => [one.cell, one]));
  const changed = found.states !== undefined;
  if (changed) {
    letters = found.states;
    revision = found.revision;
    count();
  }
  if (!known) await route();
  else if (changed || running.size) filter();
  if (view.what === "none") overview();
  if (view.what === "cell" && known) {
    const word = plan.statuses[letters.charCodeAt(view.cell) - 97];
    if (word !== cell.word) await cell.show(view.cell);
    else if (running.has(view.cell)) await cell.refresh();
    cell.tell(running.get(view.cell));
  }
}

async function keepUp() {
  let pause = 1000;
  try {
    await poll();
  } catch (error) {
    get("problem").hidden = false;
    get("problem").textContent = `sconce ui does not answer: ${error.message}`;
    pause = 3000;
  }
  setTimeout(keepUp, document.hidden ? 5000 : pause);
}

get("filter").addEventListener("input", (event) => { wanted = event.target.value; filter(); });
get("filter").addEventListener("keydown", (event) => { if (event.key === "ArrowDown") { event.preventDefault(); list.element.focus(); } });
get("compare").addEventListener("click", () => go({ compare: stage }));
get("all").addEventListener("click", () => go({}));
addEventListener("hashchange", () => { if (plan) route(); });
addEventListener("keydown", (event) => {
  const typing = event.target.matches?.("input");
  if (event.key === "/" && !typing) { event.preventDefault(); get("filter").focus(); }
  if (event.key === "Escape" && typing) { event.target.value = ""; event.target.dispatchEvent(new Event("input")); list.element.focus(); }
});
keepUp();
