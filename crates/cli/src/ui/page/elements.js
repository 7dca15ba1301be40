// Elements, numbers and questions to the server.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, props, children);
  return element;
}

export function svg(tag, props = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, props, children);
  return element;
}

function fill(element, props, children) {
  for (const [name, value] of Object.entries(props)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  // Texts become text nodes: nothing that a result holds is ever read as HTML.
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
}

export async function ask(path, query = {}) {
  const answer = await fetch(path + "?" + new URLSearchParams(query), { cache: "no-store" });
  if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
  return answer.json();
}

// Few digits, as the command line writes numbers.
export function number(value) {
  if (value === null || Number.isNaN(value)) return "not a number";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e7)) return value.toExponential(3);
  if (Number.isInteger(value)) return String(value);
  return String(Number(value.toFixed(size >= 100 ? 1 : 4)));
}

export function seconds(value) {
  if (value < 1) return value.toFixed(2) + " s";
  if (value < 59.95) return value.toFixed(1) + " s";
  const whole = Math.round(value);
  const two = (part) => String(part).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}

export function bytes(size) {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) { size /= 1024; unit += 1; }
  return (unit === 0 ? size : size.toFixed(1)) + " " + units[unit];
}

export function when(since1970) {
  return new Date(since1970 * 1000).toLocaleString();
}

// The first word is the style's name: "ready to run" is `ready`.
export function styleOf(word) {
  return word.split(" ")[0];
}

// A sign of its own for each state: colour alone tells nobody anything.
const SIGNS = { done: "✓", running: "▶", failed: "✗", killed: "†", stopped: "■", ready: "○", waiting: "…", unreadable: "?" };

export function sign(word) {
  return h("span", { class: "sign s-" + styleOf(word), role: "img", "aria-label": word, title: word }, SIGNS[styleOf(word)]);
}

export function status(word) {
  const mark = sign(word);
  mark.setAttribute("aria-hidden", "true");
  return h("span", { class: "status" }, mark, word);
}
