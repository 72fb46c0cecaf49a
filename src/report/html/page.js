"use strict";
(() => {
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const root = document.documentElement;
  const controls = document.querySelector(".controls");
  const reading = document.getElementById("reading");
  root.classList.add("js");
  controls.hidden = false;
  controls.addEventListener("submit", (event) => event.preventDefault());

  // Points: one is shown at a time, or all.
  const choice = document.getElementById("point-choice");
  const showPoint = (number) => {
    for (const place of all(".at-point")) {
      place.classList.toggle("current", number === "all" || place.dataset.point === number);
    }
  };
  const follow = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const place = target?.closest(".at-point");
    if (!place || place.classList.contains("current")) return;
    choice.value = place.dataset.point;
    showPoint(choice.value);
    target.scrollIntoView();
  };
  if (choice) {
    choice.addEventListener("change", () => showPoint(choice.value));
    showPoint(choice.value);
  } else {
    showPoint("all");
  }
  addEventListener("hashchange", follow);
  follow();

  // Strategies: whatever belongs to one is hidden with it.
  const boxes = all("input[type=checkbox]", controls);
  const toggle = () => {
    const hidden = new Set(boxes.filter((box) => !box.checked).map((box) => box.value));
    for (const part of all("[data-strategy]")) {
      part.classList.toggle("off", hidden.has(part.dataset.strategy));
    }
  };
  controls.addEventListener("change", toggle);

  // Values: three digits, as in the tables.
  const digits = (value) => {
    const size = Math.abs(value);
    const text = size === 0 ? "0" : size >= 100 ? value.toFixed(0) : value.toPrecision(3);
    return Number(text).toLocaleString("en", { maximumFractionDigits: 12 });
  };
  const inUnit = (value, units) => {
    const last = units[units.length - 1];
    const [, size, unit] = units.find(([least]) => Math.abs(value) >= least) ?? last;
    return `${digits(value / size)} ${unit}`;
  };
  // From this size on, in this unit.
  const TIMES = [[7200e9, 3600e9, "h"], [120e9, 60e9, "min"], [1e9, 1e9, "s"], [1e6, 1e6, "ms"],
    [1e3, 1e3, "µs"], [1, 1, "ns"]];
  const SIZES = [[1e9, 1e9, "GB"], [1e6, 1e6, "MB"], [1e3, 1e3, "kB"], [1, 1, "B"]];
  const time = (value) => inUnit(value, TIMES);
  const units = {
    ns: time,
    difference: (value) => (value < 0 ? "−" : "+") + time(Math.abs(value)),
    bytes: (value) => inUnit(value, SIZES),
    share: (value) => `${digits(value * 100)} %`,
    rate: (value) => `${digits(value)}/s`,
    number: digits,
  };
  const axis = (words) => {
    const [kind, low, high, unit] = words.split(" ");
    const [from, to] = [Number(low), Number(high)];
    const value = {
      linear: (part) => from + (to - from) * part,
      log: (part) => from * (to / from) ** part,
      tail: (part) => 1 - 10 ** (-to * part),
    }[kind];
    return (part) => units[unit](value(part));
  };
  const corners = (path) => {
    const found = [];
    let [x, y] = [0, 0];
    for (const [, command, rest] of path.matchAll(/([Mlhv])([^Mlhv]*)/g)) {
      const steps = (rest.match(/-?(?:\d+\.?\d*|\.\d+)/g) ?? []).map(Number);
      for (let place = 0; place < steps.length; place += 1) {
        if (command === "v") y += steps[place];
        else x += steps[place];
        if (command === "M" || command === "l") y += steps[(place += 1)];
        found.push([x, y]);
      }
    }
    return found;
  };

  for (const svg of all("svg[data-plot]")) {
    const [left, top, width, height] = svg.dataset.plot.split(" ").map(Number);
    const [readX, readY] = [axis(svg.dataset.x), axis(svg.dataset.y)];
    const line = document.createElementNS("http://www.w3.org/2000/svg", "path");
    line.setAttribute("class", "cross");
    let curves;
    const load = () =>
      all("path[data-read]", svg).map((path) => {
        const group = path.closest("[data-strategy]");
        // The page says more than the browser's own hint, which would cover it.
        group.querySelector("title")?.remove();
        const steps = path.dataset.read === "steps";
        return { group, steps, places: corners(path.getAttribute("d")) };
      });
    const nearest = ({ steps, places }, at) => {
      if (steps) return places.findLast(([x]) => x <= at + 0.001);
      return places.reduce((best, place) =>
        Math.abs(place[0] - at) < Math.abs(best[0] - at) ? place : best);
    };
    const read = (at) => {
      curves ??= load();
      const said = new Map();
      for (const curve of curves) {
        if (curve.group.classList.contains("off")) continue;
        const place = nearest(curve, at);
        const name = curve.group.dataset.strategy;
        const distance = place ? (curve.steps ? 0 : Math.abs(place[0] - at)) : Infinity;
        if (distance > (said.get(name)?.distance ?? Infinity)) continue;
        const value = place ? readY(1 - (place[1] - top) / height) : readY(0);
        const where = curve.steps || !place ? "" : ` at ${readX((place[0] - left) / width)}`;
        said.set(name, { distance, words: `${name}: ${value}${where}` });
      }
      const head = `≈ ${readX((at - left) / width)}`;
      reading.textContent = [head, ...[...said.values()].map((one) => one.words)].join("\n");
      line.setAttribute("d", `M${at} ${top}v${height}`);
      if (!line.parentNode) svg.append(line);
      reading.hidden = false;
      const box = svg.getBoundingClientRect();
      const scale = box.width / svg.viewBox.baseVal.width;
      const x = box.left + at * scale;
      const room = root.clientWidth - reading.offsetWidth - 8;
      const aside = x + 14 > room ? x - reading.offsetWidth - 14 : x + 14;
      reading.style.left = `${Math.max(4, Math.min(aside, room)) + scrollX}px`;
      reading.style.top = `${box.top + top * scale + scrollY + 8}px`;
    };
    const leave = () => {
      line.remove();
      reading.hidden = true;
    };
    const keep = (at) => Math.min(Math.max(at, left), left + width);
    let cursor = left + width / 2;
    svg.addEventListener("pointermove", (event) => {
      const box = svg.getBoundingClientRect();
      cursor = keep(((event.clientX - box.left) * svg.viewBox.baseVal.width) / box.width);
      read(cursor);
    });
    svg.addEventListener("pointerleave", leave);
    svg.addEventListener("blur", leave);
    svg.tabIndex = 0;
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
      if (event.key === "Escape") leave();
      if (step === undefined) return;
      event.preventDefault();
      cursor = keep(Number.isFinite(step) ? cursor + (step * width) / 60 : step);
      read(cursor);
    });
  }

  // A wide table scrolls; with a keyboard too.
  for (const box of all(".scroll")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
})();
