// The large figures: state, totals, what was spent, how long it may still take; notices.

import { byId, make, setText, show } from "./dom.js";
import { about, compactCount, count, dollars, duration, percent } from "./format.js";
import { course } from "./history.js";
import { whenSeen } from "./seen.js";
import { drawSparkline } from "./sparkline.js";

const STATE_WORDS = {
  starting: "Starting", running: "Running", paused: "Paused", draining: "Finishing", stopped: "Finished",
};

export function showOverview(metrics) {
  setText(byId("topic"), metrics.topic);
  show(byId("simulated"), metrics.simulated);
  document.title = `${count(metrics.unique_total)} · ${metrics.topic} · Topic Mesh`;
  showState(metrics.state, metrics.stop_reason);
  showUnique(metrics);
  showCost(metrics);
  showTime(metrics);
  setFigure("duplicate-rate", percent(metrics.duplicate_rate));
  setText(byId("duplicates"), `${count(metrics.duplicates_total)} of ${count(metrics.generated_total)} written`);
  showNotices(metrics.notices ?? []);
  setText(byId("run-dir"), metrics.run_dir ?? "");
  setText(byId("nav-entries"), compactCount(metrics.unique_total));
  sparklines();
}

function showState(state, reason) {
  const chip = byId("state");
  setText(chip, STATE_WORDS[state] ?? state);
  chip.dataset.state = state;
  document.body.dataset.state = state;
  // Once finished, the reason has a place of its own.
  setText(byId("reason"), state === "stopped" ? "" : (reason ?? ""));
}

/** A large value; one with more characters is written smaller, so that it fits its card. */
function setFigure(id, text) {
  const element = byId(id);
  if (element.textContent === text) return;
  element.textContent = text;
  element.style.setProperty("--fit", String(Math.min(1, 5 / text.length)));
}

function showUnique({ unique_total, unique_last_minute, elapsed_s, state, target }) {
  setFigure("unique-total", count(unique_total));
  setFigure("unique-last-minute", count(unique_last_minute));
  const window_s = Math.min(60, elapsed_s);
  const idle = state === "stopped" || window_s < 5;
  setText(byId("rate"), idle ? "" : `${(unique_last_minute / window_s).toFixed(1)} a second`);
  const done = target ? Math.min(100, Math.floor((100 * unique_total) / target)) : 0;
  showProgress("target", Boolean(target), done);
  setText(byId("target-text"), target ? `${done} % of target ${count(target)}` : "");
}

function showCost(metrics) {
  const { cost_usd, cost_complete, budget_usd, simulated, cost_per_100_unique_usd: each } = metrics;
  const known = cost_complete || cost_usd;
  setFigure("cost", known ? `${cost_complete ? "" : "≥ "}${dollars(cost_usd)}` : "–");
  show(byId("play-money"), simulated);
  showProgress("budget", Boolean(budget_usd), budget_usd ? Math.min(100, (100 * cost_usd) / budget_usd) : 0);
  const parts = [
    budget_usd ? `of ${dollars(budget_usd)}` : "",
    cost_complete ? "" : known ? "some prices unknown" : "price unknown",
    each ? `${dollars(each)} for 100` : "",
  ];
  setText(byId("cost-text"), parts.filter(Boolean).join(" · "));
}

function showProgress(id, visible, done) {
  show(byId(id), visible);
  if (!visible) return;
  const bar = byId(`${id}-bar`);
  bar.firstElementChild.style.width = `${done}%`;
  bar.setAttribute("aria-valuenow", String(Math.round(done)));
}

function showTime(metrics) {
  setFigure("elapsed", duration(metrics.elapsed_s));
  setText(byId("forecast"), forecastText(metrics));
}

/** When the run may end, as far as its course tells: a guess, and said as one. */
function forecastText({ forecast, state, target, unique_total }) {
  if (!forecast || !["running", "starting"].includes(state)) return "";
  const { target_s, budget_s, reach, slowing } = forecast;
  const ends = [["target", target_s], ["budget", budget_s]].filter(([, seconds]) => seconds !== null && seconds !== undefined);
  ends.sort(([, a], [, b]) => a - b);
  if (ends.length) return ends.map(([what, seconds]) => `${what} in ${about(seconds)}`).join(" · ");
  if (reach && target && reach < target) return `slowing: may end near ${count(Math.max(reach, unique_total))}`;
  if (reach) return `levels off near ${count(Math.max(reach, unique_total))}`;
  return slowing ? "slowing down" : "";
}

const sparklines = whenSeen(byId("overview"), () => {
  const points = course();
  const times = points.map((point) => point.t_s);
  for (const svg of document.querySelectorAll(".spark")) {
    drawSparkline(svg, times, points.map((point) => point[svg.dataset.series]));
  }
});

let shownNotices = "";

function showNotices(notices) {
  const key = JSON.stringify(notices);
  if (key === shownNotices) return;
  shownNotices = key;
  byId("notices").replaceChildren(...notices.map((text) => make("li", "", text)));
}
