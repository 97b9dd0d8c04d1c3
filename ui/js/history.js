// The course of the run as charts and sparklines draw it: fetched once, then continued from live
// metrics.

const POINTS_MAX = 1200;
const STEP_S_MIN = 0.9;

let points = [];

/** Replace everything by `history` of /api/metrics. */
export function restart(history) {
  points = [...history];
}

/** Add one moment; detail of the older half fades when there are too many. */
export function extend(metrics) {
  const last = points[points.length - 1];
  if (last && metrics.elapsed_s < last.t_s + STEP_S_MIN) return;
  points.push({
    t_s: metrics.elapsed_s,
    unique_total: metrics.unique_total,
    unique_last_minute: metrics.unique_last_minute,
    duplicate_rate: metrics.duplicate_rate,
    cost_usd: metrics.cost_usd,
    models: Object.fromEntries(metrics.models.map((row) => [row.model, row.unique_last_minute])),
  });
  if (points.length > POINTS_MAX) {
    const middle = points.length >> 1;
    points = points.filter((_, index) => index >= middle || index % 2 === 0);
  }
}

export const course = () => points;

/** Every model that appears anywhere in the course. */
export function modelsSeen() {
  const names = new Set();
  for (const point of points) for (const model of Object.keys(point.models)) names.add(model);
  return [...names].sort();
}
