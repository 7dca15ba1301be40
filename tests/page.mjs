// Opens `sconce ui` in a real browser and uses it: mouse, keyboard, a narrow screen, 20,000 cells.
//
//     just check-page               builds the program without candle, installs playwright-core outside the repository
//     node tests/page.mjs --program target/debug/sconce [--pictures DIR]
//
// Needs Debian's chromium, or the one that CHROMIUM names; without it all is skipped, and it says so.

import { spawn, spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const option = (name, otherwise) => {
  const place = process.argv.indexOf(name);
  return place < 0 ? otherwise : process.argv[place + 1];
};
const program = path.resolve(option("--program", "target/debug/sconce"));
const pictures = option("--pictures", null);
const candidates = [process.env.CHROMIUM, "/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
const executablePath = candidates.find((one) => one && fs.existsSync(one));
if (!executablePath) {
  console.log("skipped: no chromium (apt install chromium, or set CHROMIUM)");
  process.exit(0);
}
const { chromium } = createRequire(path.resolve(option("--modules", ".")) + "/")("playwright-core");

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sconce-page-"));
const ended = [];
process.on("exit", () => {
  for (const child of ended) child.kill("SIGKILL");
  fs.rmSync(folder, { recursive: true, force: true });
});

function check(what, holds) {
  if (!holds) throw new Error(`not so: ${what}`);
  console.log(`  ${what}`);
}

// A folder with a pipeline, and the command in it.
function bench(name, pipeline) {
  const place = path.join(folder, name);
  fs.mkdirSync(place);
  fs.writeFileSync(path.join(place, "p.toml"), pipeline);
  return {
    place,
    run: (...more) => spawnSync(program, ["run", "p.toml", "--quiet", ...more], { cwd: place }),
    start: (...more) => {
      const child = spawn(program, more, { cwd: place, stdio: ["ignore", "pipe", "ignore"] });
      ended.push(child);
      return child;
    },
  };
}

// The address that `sconce ui` prints.
async function served(one) {
  const child = one.start("ui", "p.toml");
  let text = "";
  for await (const part of child.stdout) {
    text += part;
    if (text.includes("\n")) return text.trim();
  }
  throw new Error("sconce ui ended without an address");
}

const TRAINING = `
name = "trainings"
description = "What a browser sees of them"
[stage.data]
kind = "command"
run = "echo 1 > n; echo '<p>a report<script>document.title = 1</script>' > report.html"
outputs = { n = "n", report = "report.html" }
[stage.training]
kind = "command"
run = '''
for step in $(seq 30); do
    echo "step=$step of=30 loss=$(( 100 - step * rate )) accuracy=0.$(( step + 10 ))" >> "$SCONCE_JOURNAL"
    if [ $step = 12 ]; then until [ -e "$GO" ]; do sleep 0.05; done; fi
done
echo "trained with $rate"; echo $rate > weights
'''
inputs = { data = "data.n" }
outputs = { weights = "weights" }
env = { GO = "${folder}/go" }
matrix.rate = [1, 2, 3]
[stage.broken]
kind = "command"
run = "echo 'something is wrong' >&2; exit 3"
inputs = { weights = "training[rate=1]" }
outputs = ["nothing"]
`;

async function shot(page, name) {
  if (!pictures) return;
  fs.mkdirSync(pictures, { recursive: true });
  await page.screenshot({ path: path.join(pictures, name + ".png") });
}

async function open(browser, options) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.problems = [];
  page.on("console", (message) => { if (message.type() === "error") page.problems.push(message.text()); });
  page.on("pageerror", (error) => page.problems.push(error.message));
  return page;
}

async function trainings(browser) {
  console.log("trainings while they run");
  const one = bench("trainings", TRAINING);
  const address = await served(one);
  const page = await open(browser, { viewport: { width: 1400, height: 900 }, colorScheme: "light" });
  await page.goto(address);
  await page.waitForSelector(".node");
  check("each stage is a node", (await page.locator(".node").count()) === 3);
  const run = one.start("run", "p.toml", "--quiet", "--jobs", "3", "--threads", "3");
  await page.locator("#counts button", { hasText: "running 3" }).waitFor();
  await page.locator("#list .row", { hasText: "training[rate=2]" }).click();
  await page.locator(".chart", { hasText: "loss" }).waitFor();
  await page.locator(".chart .read", { hasText: "step 12: 76" }).waitFor();
  check("a running training shows its curve", true);
  await page.locator("#detail progress").waitFor();
  check("and how far it is", (await page.locator("#detail").innerText()).includes("12 of 30 steps"));
  await shot(page, "running");
  fs.writeFileSync(path.join(folder, "go"), "");
  await page.locator(".chart .read", { hasText: "step 30: 40" }).waitFor();
  await page.locator("#detail .status", { hasText: "done" }).waitFor();
  check("the curve goes on by itself, and the cell is done", true);
  await page.locator("#detail pre", { hasText: "trained with 2" }).waitFor();
  check("the log is there", true);
  await new Promise((done) => (run.exitCode === null ? run.on("exit", done) : done()));

  console.log("by keyboard alone");
  await page.keyboard.press("/");
  await page.keyboard.type("broken");
  await page.locator("#found", { hasText: "1 of 5 cells" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("#detail h2", { hasText: "broken" }).waitFor();
  const failed = await page.locator("#detail").innerText();
  check("a failed cell says why", failed.includes("the program ended with status 3") && failed.includes("something is wrong"));
  await page.keyboard.press("/");
  await page.keyboard.press("Escape");
  await page.locator("#found", { hasText: "5 of 5 cells" }).waitFor();
  await page.keyboard.press("Home");
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("Enter");
  await page.locator("#detail h2", { hasText: "training[rate=1]" }).waitFor();
  check("arrows and Enter choose a cell", true);
  const chart = page.locator(".chart svg").first();
  await chart.focus();
  await page.keyboard.press("Home");
  check("arrow keys read a curve", (await page.locator(".chart .read").first().innerText()).includes("step 1: 99"));
  await page.locator(".node").nth(1).focus();
  await page.keyboard.press("Enter");
  await page.locator("#found", { hasText: "3 of 5 cells" }).waitFor();
  check("a stage is chosen in the graph", true);

  console.log("comparison");
  await page.locator("#compare").click();
  await page.locator(".grid-row").first().waitFor();
  await page.locator(".head button", { hasText: "rate" }).click();
  await page.locator(".head button", { hasText: "rate" }).click();
  check("columns sort", (await page.locator(".grid-row .grid-cell").first().innerText()) === "training[rate=3]");
  await page.setViewportSize({ width: 700, height: 700 });
  const lefts = (selector) => page.locator(selector).evaluateAll((all) => all.map((one) => Math.round(one.getBoundingClientRect().left)));
  const [heads, cells] = [await lefts(".head button"), await lefts(".grid-row:first-child .grid-cell")];
  check("heads stand above their columns", heads.length >= 3 && heads.every((left, place) => Math.abs(left - cells[place]) <= 1));
  await page.setViewportSize({ width: 1400, height: 900 });
  await shot(page, "compared");
  await page.goBack();
  await page.locator("#detail h2", { hasText: "Stage training" }).waitFor();
  check("the browser's button goes back", true);

  console.log("files of results");
  await page.locator("#list .row", { hasText: "training[rate=1]" }).waitFor();
  await page.locator("#all").click();
  await page.locator("#list .row", { hasText: "data" }).click();
  await page.locator("#detail summary", { hasText: "Files" }).last().click();
  const [report] = await Promise.all([
    page.context().waitForEvent("page"),
    page.locator("#detail a", { hasText: "report.html" }).click(),
  ]);
  await report.waitForSelector("p");
  check("a report is shown and its scripts do not run", (await report.title()) !== "1");
  await report.close();
  check("nothing went wrong in the page: " + page.problems.join("; "), page.problems.length === 0);
  await page.context().close();

  console.log("400 pixels wide, dark");
  const small = await open(browser, { viewport: { width: 400, height: 800 }, colorScheme: "dark" });
  await small.goto(address + "#cell=" + encodeURIComponent("training[rate=2]"));
  await small.locator(".chart").first().waitFor();
  const wide = await small.evaluate(() => document.documentElement.scrollWidth);
  check("nothing is wider than the screen", wide <= 400);
  const back = await small.evaluate(() => getComputedStyle(document.body).backgroundColor);
  check("it is dark", back.match(/\d+/g).slice(0, 3).every((part) => Number(part) < 60));
  await shot(small, "narrow-dark");
  check("nothing went wrong in the page: " + small.problems.join("; "), small.problems.length === 0);
  await small.context().close();
}

async function large(browser) {
  console.log("20,001 cells");
  const values = (count) => [...Array(count).keys()].join(", ");
  const one = bench("large", `
name = "large"
[stage.data]
kind = "command"
run = "echo 1 > n"
outputs = ["n"]
[stage.work]
kind = "command"
run = "cat data/n > out"
inputs = ["data"]
outputs = ["out"]
matrix.x = [${values(200)}]
matrix.y = [${values(100)}]
`);
  one.run("data", "work[x=7]");
  const address = await served(one);
  const page = await open(browser, { viewport: { width: 1400, height: 900 } });
  const clock = async (what, most, act) => {
    const begin = performance.now();
    await act();
    const took = Math.round(performance.now() - begin);
    check(`${what}: ${took} ms`, took < most);
  };
  await clock("opened", 20000, async () => {
    await page.goto(address);
    await page.locator("#found", { hasText: "20001 of 20001 cells" }).waitFor();
  });
  check("few rows are made", (await page.locator("#list .row").count()) < 100);
  await clock("filtered", 3000, async () => {
    await page.locator("#filter").fill("x=7 y=42");
    await page.locator("#list .row", { hasText: "work[x=7,y=42]" }).first().waitFor();
  });
  await page.locator("#filter").fill("");
  await clock("scrolled to the end by keyboard", 3000, async () => {
    await page.locator("#list .rows").focus();
    await page.keyboard.press("End");
    await page.locator("#list .row", { hasText: "work[x=199,y=99]" }).waitFor();
  });
  await clock("only the done ones", 3000, async () => {
    await page.locator("#counts button", { hasText: "done" }).click();
    await page.locator("#found", { hasText: "101 of 20001 cells" }).waitFor();
  });
  // How long the page is busy while nothing happens but its questions.
  const busy = await page.evaluate(() => new Promise((done) => {
    let longest = 0, last = performance.now();
    const end = last + 4000;
    const tick = () => {
      const now = performance.now();
      longest = Math.max(longest, now - last);
      last = now;
      if (now < end) setTimeout(tick, 0); else done(longest);
    };
    tick();
  }));
  check(`never busy for long: ${Math.round(busy)} ms`, busy < 1000);
  await clock("20,000 cells compared", 15000, async () => {
    await page.locator(".node").nth(1).click();
    await page.locator("#compare").click();
    await page.locator("#detail .facts", { hasText: "20000 of 20000 cells" }).waitFor();
  });
  await shot(page, "large");
  check("nothing went wrong in the page: " + page.problems.join("; "), page.problems.length === 0);
  await page.context().close();
}

// What the page looked like when something was not so.
async function failed(browser, error) {
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    console.log(page.url(), page.problems ?? "", await page.locator("body").innerText());
    if (pictures) await shot(page, "failed");
  }
  console.error(error);
  process.exitCode = 1;
}

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
try {
  await trainings(browser);
  await large(browser);
} catch (error) {
  await failed(browser, error);
} finally {
  await browser.close();
}
process.exit();
