// Small curves beside the figures: the run's whole course in some sixty points.

import { makeSvg, setAttributes } from "./dom.js";

const POINTS_MAX = 60;
const WIDTH = 100;
const HEIGHT = 32;
const MARGIN = 2;

/** Draw `values` over `times`; nothing with fewer than two. Values may be null: they are left out. */
export function drawSparkline(svg, times, values) {
  const points = thinned(times, values);
  const [line, area] = partsOf(svg);
  if (points.length < 2) return setAttributes(svg, { "data-empty": "" });
  svg.removeAttribute("data-empty");
  const [first] = points[0];
  const span = points.at(-1)[0] - first || 1;
  const top = Math.max(...points.map(([, value]) => value)) || 1;
  const x = (time) => (WIDTH * (time - first)) / span;
  const y = (value) => HEIGHT - MARGIN - ((HEIGHT - 2 * MARGIN) * value) / top;
  const path = points.map(([time, value]) => `${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("L");
  setAttributes(line, { d: `M${path}` });
  setAttributes(area, { d: `M0 ${HEIGHT}L${path}L${WIDTH} ${HEIGHT}Z` });
  return undefined;
}

function partsOf(svg) {
  if (!svg.firstElementChild) {
    setAttributes(svg, { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" });
    svg.append(makeSvg("path", { class: "spark-line" }), makeSvg("path", { class: "spark-area" }));
  }
  return svg.children;
}

function thinned(times, values) {
  const known = [];
  for (const [index, value] of values.entries()) if (value !== null && value !== undefined) known.push([times[index], value]);
  if (known.length <= POINTS_MAX) return known;
  const step = (known.length - 1) / (POINTS_MAX - 1);
  return Array.from({ length: POINTS_MAX }, (_, index) => known[Math.round(index * step)]);
}
