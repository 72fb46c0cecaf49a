// Opens reports in Chromium and says what is wrong with them: node check.mjs REPORT...
//
// CHROMIUM names the browser, SCREENSHOTS a folder for pictures of what was looked at.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const { CHROMIUM: executablePath, SCREENSHOTS: pictures } = process.env;
const WIDTHS = [390, 1440];
const SCHEMES = ["light", "dark"];

const problems = [];
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });

// A page with the report on it; whatever it asks for or complains of is a problem.
const open = async (report, options) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const wrong = (what) => problems.push(`${report} ${JSON.stringify(options)}: ${what}`);
  const address = pathToFileURL(report).href;
  page.on("request", (request) => {
    const wanted = request.url();
    if (wanted.split("#")[0] !== address && !wanted.startsWith("data:")) wrong(`asked for ${wanted}`);
  });
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong(`error: ${error}`));
  await page.goto(address);
  const expect = (truth, what) => truth || wrong(what);
  return { page, expect, close: () => context.close() };
};

const charts = async ({ page, expect }) => {
  const found = page.locator("figure.chart > svg");
  expect((await found.count()) >= 9, `only ${await found.count()} charts`);
  const names = await page.locator("figure.chart").evaluateAll((all) => all.map(({ id }) => id));
  expect(new Set(names).size === names.length, "two charts have the same name");
  for (const box of await found.evaluateAll((all) =>
    all.filter((svg) => svg.checkVisibility()).map((svg) => svg.getBoundingClientRect().toJSON()))) {
    expect(box.width > 300 && box.height > 150, `a chart of ${box.width} × ${box.height}`);
  }
};

const toggles = async ({ page, expect }) => {
  const boxes = page.locator(".controls input");
  const seen = (name) =>
    page.locator("[data-strategy]").evaluateAll(
      (parts, name) =>
        parts.filter((part) => part.dataset.strategy === name)
          .some((part) => part.checkVisibility({ visibilityProperty: true })),
      name,
    );
  expect((await boxes.count()) > 1, "there are no strategies to toggle");
  for (const box of await boxes.all()) {
    const name = await box.inputValue();
    expect(await seen(name), `“${name}” is not shown`);
    await box.uncheck();
    expect(!(await seen(name)), `“${name}” is shown although it is off`);
    await box.check();
    expect(await seen(name), `“${name}” does not come back`);
  }
};

const shown = (page) =>
  page.locator("main > section > .at-point").evaluateAll((all) =>
    all.filter((place) => place.checkVisibility()).map((place) => place.dataset.point));

const points = async ({ page, expect }) => {
  const choice = page.locator("#point-choice");
  if ((await choice.count()) === 0) return;
  for (const point of ["2", "1"]) {
    await choice.selectOption(point);
    const now = new Set(await shown(page));
    expect(now.size === 1 && now.has(point), `point ${point} was chosen, ${[...now]} are shown`);
  }
  await choice.selectOption("all");
  expect(new Set(await shown(page)).size > 1, "not all points are shown");
  await choice.selectOption("1");
  await page.evaluate(() => { location.hash = "#chart-latency-ecdf-2"; });
  await page.locator("#chart-latency-ecdf-2").waitFor({ state: "visible", timeout: 10_000 });
  await choice.selectOption("1");
};

const readings = async ({ page, expect }) => {
  const chart = page.locator(".at-point.current svg[data-plot]").first();
  const reading = page.locator("#reading");
  await chart.scrollIntoViewIfNeeded();
  const box = await chart.boundingBox();
  await page.mouse.move(box.x + box.width * 0.6, box.y + box.height * 0.5);
  await reading.waitFor({ state: "visible", timeout: 10_000 });
  const names = await page.locator(".controls input").evaluateAll((all) => all.map((b) => b.value));
  const words = await reading.textContent();
  for (const name of names) expect(words.includes(`${name}: `), `no reading of “${name}”: ${words}`);
  await chart.focus();
  await page.keyboard.press("End");
  const end = await reading.textContent();
  // At the right edge of a cumulative curve all that was delivered is usable.
  const shares = [...end.matchAll(/: ([\d.]+) %/g)].map(([, share]) => Number(share));
  expect(shares.length === names.length && shares.every((share) => share > 90), `at the end: ${end}`);
  await page.keyboard.press("Home");
  expect((await reading.textContent()) !== end, "arrow keys do not move the reading");
  await page.keyboard.press("Escape");
  expect(await reading.isHidden(), "the reading stays");
};

const accessibility = async ({ page, expect }) => {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => globalThis.axe.run());
  for (const { id, impact, nodes } of violations) {
    const where = nodes.slice(0, 3).map(({ target, failureSummary }) => `${target}: ${failureSummary}`);
    expect(!["serious", "critical"].includes(impact), `axe: ${id} (${impact}): ${where.join("; ")}`);
  }
};

const picture = async (page, report, name) => {
  if (!pictures) return;
  const run = basename(dirname(report));
  await page.screenshot({ path: join(pictures, `${run}-${name}.png`), fullPage: true });
};

for (const report of process.argv.slice(2).map((path) => resolve(path))) {
  for (const width of WIDTHS) {
    for (const colorScheme of SCHEMES) {
      const opened = await open(report, { viewport: { width, height: 900 }, colorScheme });
      const { page, expect } = opened;
      const wide = await page.evaluate(() => document.scrollingElement.scrollWidth);
      expect(wide <= width, `the page is ${wide} wide on a screen of ${width}`);
      await charts(opened);
      await accessibility(opened);
      await picture(page, report, `${width}-${colorScheme}`);
      if (colorScheme === "light") {
        await toggles(opened);
        await points(opened);
        await readings(opened);
      }
      await opened.close();
    }
  }
  const plain = await open(report, { javaScriptEnabled: false, viewport: { width: 1440, height: 900 } });
  const all = await plain.page.locator(".at-point").count();
  const visible = plain.page.locator(".at-point:visible");
  plain.expect(all > 0 && (await visible.count()) === all, "points are hidden without scripts");
  plain.expect(await plain.page.locator(".controls").isHidden(), "controls do nothing without scripts");
  await plain.close();
  const print = await open(report, {});
  await print.page.emulateMedia({ media: "print" });
  print.expect((await print.page.locator(".at-point:visible").count()) === all, "points are missing in print");
  if (pictures) await print.page.pdf({ path: join(pictures, `${basename(dirname(report))}.pdf`) });
  await print.close();
}
await browser.close();
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log("all good");
