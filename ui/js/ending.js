// How the run finished, and how to see it again.

import { byId, setText, show } from "./dom.js";
import { count, dollars, duration } from "./format.js";

export function showEnding(metrics) {
  const ended = metrics.state === "stopped";
  show(byId("ending"), ended);
  if (!ended) return;
  setText(byId("ending-reason"), sentence(metrics.stop_reason ?? "the run has ended"));
  setText(byId("ending-summary"), summary(metrics));
  setText(byId("reopen-command"), metrics.reopen_command ?? "");
  show(byId("copy-command"), Boolean(navigator.clipboard));
}

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function summary(metrics) {
  const money = metrics.simulated ? " of play money" : "";
  const cost = metrics.cost_complete ? ` for ${dollars(metrics.cost_usd)}${money}` : "";
  const kept = metrics.run_dir ? ` Kept in ${metrics.run_dir}.` : "";
  return `${count(metrics.unique_total)} unique entries in ${duration(metrics.elapsed_s)}${cost}.${kept}`;
}

byId("copy-command").addEventListener("click", async () => {
  await navigator.clipboard.writeText(byId("reopen-command").textContent);
  const button = byId("copy-command");
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
});
