// The two live charts. Plotly is fetched after the first numbers are on the page, since it takes
// a second or two to read; until then, and if it cannot be had, the page works without.

import { byId, make, show } from "./dom.js";
import { course, modelsSeen } from "./history.js";
import { colourOf } from "./colours.js";
import { count, duration, modelName } from "./format.js";
import { swatch } from "./model_label.js";
import { whenSeen } from "./seen.js";

const REDRAW_MS_MIN = 900;
/** Drawing takes at most this share of the time, however slow the machine. */
const DRAWING_SHARE_MAX = 0.1;
const TICK_STEPS_S = [5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 43200, 86400];
const TICKS_WIDE_MAX = 7;
const TICKS_NARROW_MAX = 5;
const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false };

let library = null;
let redrawnAt = 0;
let drawnMs = 0;
let pending = 0;
let target = null;

/** Start loading; `redraw` does nothing until it is there. */
export function loadCharts() {
  if (library !== null) return;
  library = "loading";
  if (window.Plotly) {  // A report carries it.
    library = window.Plotly;
    clearPlaces();
    draw();
    return;
  }
  const script = make("script");
  script.src = trusted(document.body.dataset.chartLibrary);
  script.onload = () => { library = window.Plotly; clearPlaces(); draw(); };
  script.onerror = () => {
    library = null;  // Tried again after the next interruption.
    for (const line of document.querySelectorAll(".chart .waiting")) {
      line.textContent = "The charts could not be loaded; all numbers stay live.";
    }
  };
  document.head.append(script);
}

let policy = null;

/** The page's policy lets text become code in this one place; elsewhere browsers refuse it. */
function trusted(url) {
  policy ??= window.trustedTypes?.createPolicy("chart-library", { createScriptURL: (path) => path });
  return policy ? policy.createScriptURL(url) : url;
}

/** Draw soon, at most about once a second and only while the page is seen. */
export function redraw(metrics) {
  if (metrics) ({ target } = metrics);
  if (pending || !ready()) return;
  const interval = Math.max(REDRAW_MS_MIN, drawnMs / DRAWING_SHARE_MAX);
  const wait = Math.max(0, redrawnAt + interval - performance.now());
  pending = setTimeout(() => { pending = 0; drawSoon(); }, wait);
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => draw());
document.addEventListener("visibilitychange", () => draw());

const ready = () => library !== null && library !== "loading";

function clearPlaces() {
  for (const line of document.querySelectorAll(".chart .waiting")) line.remove();
}

/** Drawn when it is in sight: scrolled away, it costs nothing. */
const drawSoon = whenSeen(byId("overview"), () => draw());

function draw() {
  if (!ready() || document.hidden) return;
  const startedAt = performance.now();
  const points = course();
  const models = modelsSeen();
  const last_s = points.at(-1)?.t_s ?? 0;
  const times = points.map((point) => moment(point.t_s));
  const ink = styles();
  library.react(byId("chart-total"), [totalTrace(points, times, ink)],
    layout(last_s, points.at(-1)?.unique_total ?? 0, ink, byId("chart-total"), targetLine(points, ink)), CONFIG);
  library.react(byId("chart-rate"), models.map((model) => modelTrace(model, points, times)),
    layout(last_s, Math.max(0, ...points.map((point) => point.unique_last_minute)), ink, byId("chart-rate"), {}), CONFIG);
  describe(points);
  showLegend(models);
  redrawnAt = performance.now();
  drawnMs = redrawnAt - startedAt;
}

/** Seconds of the run as a date from 1970 on, which Plotly writes as hours, minutes, seconds. */
function moment(t_s) {
  // As text: Plotly takes small numbers for years.
  return new Date(1000 * t_s).toISOString();
}

function totalTrace(points, times, ink) {
  return {
    type: "scatter", mode: "lines", x: times, y: points.map((point) => point.unique_total),
    hovertemplate: "<b>%{y:,}</b> unique<extra></extra>",
    line: { color: ink.accent, width: 2.25 }, fill: "tozeroy", fillcolor: ink.accentSoft,
  };
}

function modelTrace(model, points, times) {
  const colour = colourOf(model);
  return {
    type: "scatter", mode: "lines", stackgroup: "models", name: escaped(modelName(model)),
    x: times, y: points.map((point) => point.models[model] ?? 0),
    hovertemplate: `%{y:,} ${escaped(modelName(model))}<extra></extra>`,
    line: { color: colour, width: 1.25 }, fillcolor: `${colour}99`,
  };
}

// Plotly reads a little markup and templates in texts.
function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/%\{/g, "% {");
}

function targetLine(points, ink) {
  if (!target || !points.length) return {};
  const line = { color: ink.muted, width: 1, dash: "dot" };
  return {
    shapes: [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: target, y1: target, line }],
  };
}

function layout(last, most, ink, place, extra) {
  const ticksMax = place.clientWidth < 480 ? TICKS_NARROW_MAX : TICKS_WIDE_MAX;
  const ticks = tickTimes(Math.max(10, last), ticksMax);
  const axis = { fixedrange: true, gridcolor: ink.line, zeroline: false, linecolor: ink.line };
  return {
    autosize: true, showlegend: false, dragmode: false, hovermode: "x unified",
    margin: { l: 44, r: 12, t: 8, b: 26 },
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: ink.font, size: 12, color: ink.muted },
    hoverlabel: { bgcolor: ink.card, bordercolor: ink.line, font: { family: ink.font, color: ink.ink } },
    xaxis: {
      ...axis, type: "date", range: [moment(0), moment(Math.max(10, last))], showgrid: false,
      tickvals: ticks.map(moment), ticktext: ticks.map(duration),
      spikecolor: ink.muted, spikethickness: 1, spikedash: "solid",
      hoverformat: last < 3600 ? "%-M:%S" : "%-H:%M:%S",
    },
    yaxis: { ...axis, rangemode: "tozero", nticks: 6, tickformat: most < 10_000 ? ",d" : "~s", minallowed: 0 },
    ...extra,
  };
}

function tickTimes(last, ticksMax) {
  const fits = (step) => last / step <= ticksMax;
  const step = TICK_STEPS_S.find(fits) ?? Math.ceil(last / ticksMax / 86400) * 86400;
  return Array.from({ length: Math.floor(last / step) + 1 }, (_, index) => index * step);
}

function styles() {
  const style = getComputedStyle(document.documentElement);
  const value = (name) => style.getPropertyValue(name).trim();
  return {
    ink: value("--ink"), muted: value("--muted"), line: value("--line"), card: value("--card"),
    accent: value("--accent"), accentSoft: value("--accent-soft"), font: value("--font"),
  };
}

function describe(points) {
  const last = points[points.length - 1];
  if (!last) return;
  const rate = Object.entries(last.models).map(([model, n]) => `${modelName(model)} ${count(n)}`);
  byId("chart-total").ariaLabel = `Unique entries over time: ${count(last.unique_total)} after ${duration(last.t_s)}`;
  byId("chart-rate").ariaLabel = `Unique entries in the last minute by model: ${rate.join(", ")}`;
}

let legendShown = "";

function showLegend(models) {
  const legend = byId("legend");
  show(legend, models.length > 1);
  if (legendShown === models.join("\n")) return;
  legendShown = models.join("\n");
  legend.replaceChildren(...models.map((model) => {
    const item = make("span", "model");
    item.append(swatch(model), modelName(model));
    return item;
  }));
}
