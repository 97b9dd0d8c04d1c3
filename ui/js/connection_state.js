// Whether the page hears of the run, and since when it does not.

import { byId, setText, show } from "./dom.js";
import { about, clock } from "./format.js";
import { writtenAt } from "./requests.js";

const WORDS = {
  live: "Live",
  polling: "Live, polling",
  lost: "Connection lost",
  over: "Server ended, results kept",
  other: "Results kept, another run is here now",
  report: "Report",
};

let lostAt = null;
let reopenCommand = "";

export function showMode(mode, metrics) {
  const line = byId("connection");
  setText(line, mode === "report" ? `${WORDS.report} of ${writtenAt().toLocaleString()}` : WORDS[mode]);
  line.dataset.mode = mode;
  reopenCommand = metrics?.reopen_command ?? "";
  document.body.dataset.connection = mode;
  lostAt = mode === "lost" ? (lostAt ?? new Date()) : null;
  tell();
}

function tell() {
  show(byId("lost"), lostAt !== null);
  if (lostAt === null) return;
  const again = reopenCommand ? ` If the run has ended, its page opens again by: ${reopenCommand}` : "";
  // The time alone, so that a reader is told once; how long ago is added to what is seen.
  setText(byId("lost"), `No connection since ${clock(lostAt)}: the numbers are from then. Trying again.${again}`);
}

/** When the connection was lost: for people who come back to the page. */
setInterval(() => {
  if (lostAt !== null) byId("lost").title = `for ${about((Date.now() - lostAt) / 1000)}`;
}, 5000);
