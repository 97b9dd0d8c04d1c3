// The page of a run: hands what the connection hears to the parts that show it.

import { Connection } from "./js/connection.js";
import { loadCharts, redraw } from "./js/charts.js";
import { showControls } from "./js/controls.js";
import { byId, setText, show } from "./js/dom.js";
import { showEnding } from "./js/ending.js";
import { addEntries, newestOrdinal, SHOWN_MAX } from "./js/entries.js";
import { keepFacets, refreshFacets } from "./js/facets.js";
import { extend, restart } from "./js/history.js";
import { keepPeers, refreshPeers, showMesh } from "./js/mesh.js";
import { keepNames, refreshNames, showReviewCommand } from "./js/names.js";
import { showMetrics } from "./js/numbers.js";

const MODE_WORDS = {
  live: "Live",
  polling: "Live, polling",
  lost: "Connection lost, trying again",
  over: "Server ended, results kept",
};

let latest = null;
let mode = null;

const isConnected = () => mode === "live" || mode === "polling";

function showAll(metrics) {
  latest = metrics;
  showMetrics(metrics);
  showControls(metrics.state, isConnected());
  showMesh(metrics);
  showEnding(metrics);
  showReviewCommand(metrics.reopen_command);
  redraw(metrics);
}

/** Another run may be served here later; what this page shows is kept until asked. */
function isOtherRun(metrics) {
  return latest !== null && (metrics.topic !== latest.topic
    || metrics.run_dir !== latest.run_dir || metrics.unique_total < newestOrdinal());
}

const connection = new Connection({
  wanted: SHOWN_MAX,
  lastOrdinal: newestOrdinal,
  items: addEntries,

  snapshot(metrics) {
    if (isOtherRun(metrics)) {
      connection.stop();
      show(byId("other-run"), true);
      return;
    }
    restart(metrics.history ?? []);
    showAll(metrics);
    // After the first numbers are painted: the chart library keeps the browser busy for a while.
    requestAnimationFrame(() => setTimeout(loadCharts));
  },

  metrics(metrics) {
    if (latest === null || isOtherRun(metrics)) return;
    if (metrics.state !== "stopped") extend(metrics);
    showAll(metrics);
  },

  state(frame) {
    if (latest === null) return;
    const { state, stop_reason, run_dir, reopen_command } = frame;
    showAll({ ...latest, state, stop_reason, run_dir, reopen_command });
  },

  mode(newMode) {
    mode = newMode;
    const line = byId("connection");
    setText(line, MODE_WORDS[mode]);
    line.dataset.mode = mode;
    line.title = mode === "lost" && latest?.reopen_command
      ? `If the run has ended, reopen its page: ${latest.reopen_command}` : "";
    if (latest) showControls(latest.state, isConnected());
    if (isConnected()) {
      refreshPeers();
      refreshFacets();
      refreshNames();
    }
  },
});

byId("show-other-run").addEventListener("click", () => location.reload());
connection.start();
keepPeers(isConnected);
keepFacets(isConnected);
keepNames(isConnected);
