// What a screen reader is told without being asked: changes of state at once, numbers now and then.

import { byId } from "./dom.js";
import { count } from "./format.js";

const NUMBERS_MS = 30_000;

let state = null;
let toldAt = -Infinity;

export function announce(metrics) {
  const now = performance.now();
  const isChange = metrics.state !== state;
  if (!isChange && (metrics.state !== "running" || now < toldAt + NUMBERS_MS)) return;
  state = metrics.state;
  toldAt = now;
  const reason = metrics.stop_reason ? `: ${metrics.stop_reason}` : "";
  byId("announcement").textContent = `${metrics.topic}, ${metrics.simulated ? "simulated, " : ""}${state}${reason}. ${count(metrics.unique_total)} unique entries.`;
}
