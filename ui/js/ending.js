// How the run finished, how to see it again, and how to share it.

import { byId, canCopy, copy, setText, show } from "./dom.js";
import { count, dollars, duration } from "./format.js";
import { isReport } from "./requests.js";

export function showEnding(metrics) {
  const ended = metrics.state === "stopped";
  show(byId("ending"), ended);
  show(byId("review-hint"), Boolean(metrics.reopen_command));
  setText(byId("review-command"), inPlaceOfView(metrics, "review"));
  if (!ended) return;
  setText(byId("ending-reason"), sentence(metrics.stop_reason ?? "the run has ended"));
  setText(byId("ending-summary"), summary(metrics));
  show(byId("commands"), Boolean(metrics.reopen_command));
  setText(byId("reopen-command"), metrics.reopen_command ?? "");
  setText(byId("report-command"), inPlaceOfView(metrics, "report"));
}

const inPlaceOfView = ({ reopen_command }, command) => (reopen_command ?? "").replace(" view ", ` ${command} `);

const sentence = (text) => `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!?]$/.test(text) ? "" : "."}`;

function summary(metrics) {
  const money = metrics.simulated ? " of play money" : "";
  const cost = metrics.cost_complete ? ` for ${dollars(metrics.cost_usd)}${money}` : "";
  const kept = metrics.run_dir ? ` Kept in ${metrics.run_dir}.` : "";
  return `${count(metrics.unique_total)} unique entries in ${duration(metrics.elapsed_s)}${cost}.${kept}`;
}

for (const button of document.querySelectorAll(".copy-command")) {
  show(button, canCopy() && !isReport());
  button.addEventListener("click", () => copy(button.previousElementSibling.textContent, button));
}
