// A curve with axes, drawn as SVG. Arrow keys or the pointer read its values.

import { h, svg, number } from "./elements.js";

const WIDTH = 460, HEIGHT = 200, LEFT = 52, RIGHT = 10, TOP = 8, BOTTOM = 24;

function ticks(low, high, most) {
  const span = high - low || Math.abs(high) || 1;
  const raw = span / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => span / one <= most);
  const found = [];
  for (let tick = Math.ceil(low / step) * step; tick <= high + step * 1e-9; tick += step) found.push(Number(tick.toPrecision(12)));
  return found;
}

export class Chart {
  constructor(name) {
    this.name = name;
    this.log = false;
    this.read = h("span", { class: "read", role: "status" });
    this.body = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, tabindex: "0", role: "img" });
    this.toggle = h("button", { type: "button", "aria-pressed": "false", onclick: () => { this.log = !this.log; this.draw(); } }, "log");
    this.legend = h("div", { class: "legend" });
    this.element = h("figure", { class: "chart" }, h("figcaption", {}, h("b", {}, name), this.read, this.toggle), this.body, this.legend);
    this.body.addEventListener("pointermove", (event) => this.point(event));
    this.body.addEventListener("pointerleave", () => this.hair(null));
    this.body.addEventListener("keydown", (event) => this.key(event));
  }

  // The curves of the name: of steps, of epochs.
  set(curves) {
    this.curves = curves.map((curve) => ({ per: curve.per, points: curve.points.map(([x, y]) => [x, y === null ? NaN : y]) }));
    this.draw();
  }

  draw() {
    const whole = this.curves.find((curve) => curve.per === "epoch");
    const steps = this.curves.find((curve) => curve.per === "step");
    // Epochs stand at the steps at which they ended, where both are there.
    const lastStep = steps ? steps.points.at(-1)[0] : 0;
    const scale = steps && whole ? lastStep / Math.max(1, whole.points.at(-1)[0]) : 1;
    this.drawn = this.curves.map((curve) => ({
      per: curve.per,
      points: curve.points.map(([x, y]) => ({ x: curve === whole ? x * scale : x, place: x, y })),
    }));
    const all = this.drawn.flatMap((curve) => curve.points);
    const height = (y) => (this.log ? Math.log10(y) : y);
    const can = (point) => Number.isFinite(height(point.y));
    const good = all.filter(can);
    const canLog = all.every((point) => !(point.y <= 0));
    this.toggle.hidden = !canLog;
    if (!canLog && this.log) { this.log = false; return this.draw(); }
    this.toggle.setAttribute("aria-pressed", String(this.log));
    let [x0, x1] = [Math.min(...all.map((point) => point.x)), Math.max(...all.map((point) => point.x))];
    let [y0, y1] = good.length ? [Math.min(...good.map((point) => height(point.y))), Math.max(...good.map((point) => height(point.y)))] : [0, 1];
    if (y0 === y1) [y0, y1] = [y0 - (Math.abs(y0) / 10 || 1), y1 + (Math.abs(y1) / 10 || 1)];
    if (x0 === x1) [x0, x1] = [x0 - 1, x1 + 1];
    this.x = (x) => LEFT + (x - x0) / (x1 - x0) * (WIDTH - LEFT - RIGHT);
    this.y = (y) => TOP + (y1 - height(y)) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
    const parts = [];
    for (const tick of ticks(y0, y1, 5)) {
      const at = TOP + (y1 - tick) / (y1 - y0) * (HEIGHT - TOP - BOTTOM);
      parts.push(svg("line", { class: "grid", x1: LEFT, x2: WIDTH - RIGHT, y1: at, y2: at }),
        svg("text", { x: LEFT - 6, y: at + 4, "text-anchor": "end" }, number(this.log ? Number((10 ** tick).toPrecision(3)) : tick)));
    }
    for (const tick of ticks(x0, x1, 6)) {
      parts.push(svg("text", { x: this.x(tick), y: HEIGHT - 6, "text-anchor": "middle" }, number(tick)));
    }
    for (const curve of this.drawn) {
      let path = "", open = false;
      for (const point of curve.points) {
        if (!can(point)) { open = false; continue; }
        path += `${open ? "L" : "M"}${this.x(point.x).toFixed(1)} ${this.y(point.y).toFixed(1)}`;
        open = true;
      }
      parts.push(svg("path", { class: curve.per + "s", d: path }));
      if (curve.points.length <= 60) {
        parts.push(...curve.points.filter(can).map((point) => svg("circle", {
          class: curve.per === "epoch" ? "mark" : "f-running", cx: this.x(point.x), cy: this.y(point.y), r: curve.per === "epoch" ? 2.6 : 1.8,
        })));
      }
    }
    this.line = svg("line", { class: "hair", y1: TOP, y2: HEIGHT - BOTTOM });
    this.line.setAttribute("visibility", "hidden");
    this.body.replaceChildren(...parts, this.line);
    const missing = all.length - all.filter((point) => Number.isFinite(point.y)).length;
    this.legend.textContent = this.drawn.map((curve) => `${curve.per === "epoch" ? "epochs" : "steps"}: ${curve.points.length} ${curve.points.length === 1 ? "point" : "points"}`).join(", ")
      + (missing ? `; ${missing} not a number` : "");
    this.hair(null);
    const last = this.drawn.map((curve) => `${curve.per} ${number(curve.points.at(-1).place)}: ${number(curve.points.at(-1).y)}`).join(", ");
    this.body.setAttribute("aria-label", `${this.name}, last values: ${last}. Arrow keys read values.`);
  }

  // Reads the values at a place; the last ones without one.
  hair(x) {
    this.at = x;
    const nearest = (points) => {
      if (x === null) return points.at(-1);
      let best = points[0];
      for (const point of points) if (Math.abs(point.x - x) < Math.abs(best.x - x)) best = point;
      return best;
    };
    const found = this.drawn.map((curve) => ({ per: curve.per, point: nearest(curve.points) }));
    this.read.textContent = found.map(({ per, point }) => `${per} ${number(point.place)}: ${number(point.y)}`).join("   ");
    this.line.setAttribute("visibility", x === null ? "hidden" : "visible");
    if (x !== null) for (const end of ["x1", "x2"]) this.line.setAttribute(end, this.x(x));
  }

  point(event) {
    const box = this.body.getBoundingClientRect();
    const inside = (event.clientX - box.left) / box.width * WIDTH;
    const all = this.drawn.flatMap((curve) => curve.points);
    const best = all.reduce((best, point) => (Math.abs(this.x(point.x) - inside) < Math.abs(this.x(best.x) - inside) ? point : best));
    this.hair(best.x);
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
    if (!(event.key in steps)) return;
    event.preventDefault();
    const places = [...new Set(this.drawn.flatMap((curve) => curve.points.map((point) => point.x)))].sort((a, b) => a - b);
    const now = this.at === null ? places.length - 1 : places.indexOf(this.at);
    this.hair(places[Math.max(0, Math.min(places.length - 1, now + steps[event.key]))]);
  }
}
