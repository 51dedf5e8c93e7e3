// Draws what Prometheus has over time: lines of stable and candidate against the gates' thresholds.
"use strict";

let drawn = null;
let drawnAt = 0;
let plots = [];
const AT_MOST_EVERY = 5000;

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function limits(plot) {
  return (chart) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    for (const limit of plot.limits) {
      const y = chart.valToPos(limit.value, "y", true);
      ctx.fillStyle = colour("fails");
      if (limit.least) ctx.fillRect(bbox.left, y, bbox.width, bbox.top + bbox.height - y);
      else ctx.fillRect(bbox.left, bbox.top, bbox.width, y - bbox.top);
      ctx.strokeStyle = colour("bad");
      ctx.setLineDash([6, 4]);
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
    }
    ctx.restore();
  };
}

function draw(box, plot) {
  const unit = plot.unit ? ` ${plot.unit}` : "";
  const look = {
    stable: "stable", candidate: "candidate", asked: "dim", lower: "candidate", upper: "candidate",
  };
  // What lies between the two ends of a gate's interval; the lower one stands first.
  const bands = plot.lines.flatMap((line, at) => (line.role === "lower"
    ? [{ series: [at + 2, at + 1], fill: `${colour("candidate")}30` }] : []));
  const axis = {
    stroke: colour("dim"),
    grid: { stroke: colour("line"), width: 1 },
    ticks: { stroke: colour("line"), width: 1 },
    font: "12px system-ui, sans-serif",
  };
  const all = plot.lines.flatMap((line) => line.values).filter((value) => value !== null)
    .concat(plot.limits.map((limit) => limit.value));
  const room = (Math.max(...all) - Math.min(...all)) * 0.1 || 0.1;
  const low = plot.unit ? 0 : Math.min(...all) - room;
  const high = plot.key === "share" ? 100 : Math.max(...all) + room;
  return new uPlot({
    width: box.clientWidth || 600,
    height: 190,
    cursor: { y: false, sync: { key: "rollout" } },
    scales: { y: { range: [low, high] } },
    axes: [axis, { ...axis, size: 60, values: (_, values) => values.map((v) => `${v}${unit}`) }],
    bands,
    series: [{}, ...plot.lines.map((line) => ({
      label: line.label,
      stroke: colour(look[line.role]),
      width: line.role === "lower" || line.role === "upper" ? 0.5 : 2,
      dash: line.role === "asked" ? [4, 4] : undefined,
      spanGaps: line.role === "asked",
      value: (_, value) => (value === null ? "–" : `${value}${unit}`),
    }))],
    hooks: { drawClear: [limits(plot)] },
  }, [plot.times, ...plot.lines.map((line) => line.values)], box);
}

function served(found) {
  const box = document.querySelector("[data-served]");
  const line = found.find((plot) => plot.key === "share")?.lines
    .find((one) => one.role === "candidate");
  const value = line?.values.filter((one) => one !== null).at(-1);
  if (!box || value === undefined) return;
  box.hidden = false;
  box.querySelector("rect").setAttribute("width", String(value));
  box.querySelector("strong").textContent = `${value.toFixed(1)} %`;
}

function show(holder, document_) {
  for (const plot of plots) plot.destroy();
  plots = [];
  holder.replaceChildren();
  if (!document_.plots.length) {
    const none = document.createElement("p");
    none.className = "dim";
    none.textContent = document_.trouble || "Prometheus has nothing of this attempt.";
    holder.append(none);
    return;
  }
  const figures = [];
  for (const plot of document_.plots) {
    const figure = document.createElement("figure");
    figure.dataset.plot = plot.key;
    const title = document.createElement("figcaption");
    title.textContent = plot.title;
    const last = plot.lines.map((line) => {
      const value = line.values.filter((one) => one !== null).at(-1);
      return value === undefined ? "" : `${line.label} ${value}${plot.unit}`;
    }).filter(Boolean).join(", ");
    const words = document.createElement("span");
    words.className = "dim";
    words.textContent = ` now: ${last}`;
    title.append(words);
    figure.append(title);
    holder.append(figure);
    figures.push([figure, plot]);
  }
  // Once all are there: the first one alone would have the width of a line.
  plots = figures.map(([figure, plot]) => draw(figure, plot));
  served(document_.plots);
}

async function drawPlots(again = false) {
  const holder = document.getElementById("plots");
  if (!holder) return;
  if (again && drawn) { show(holder, drawn); return; }
  if (Date.now() - drawnAt < AT_MOST_EVERY) return;
  drawnAt = Date.now();
  try {
    const answer = await fetch(holder.dataset.series, { headers: { Accept: "application/json" } });
    if (!answer.ok) throw new Error(await answer.text());
    drawn = await answer.json();
    show(holder, drawn);
  } catch {
    if (!drawn) holder.textContent = "The plots could not be loaded.";
  }
}

let width = innerWidth;
addEventListener("resize", () => {
  if (innerWidth === width) return;
  width = innerWidth;
  drawPlots(true);
});
