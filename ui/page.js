// The page of a run: hands what the connection hears to the parts that show it.

import { announce } from "./js/announcements.js";
import { loadCharts, redraw } from "./js/charts.js";
import { Connection } from "./js/connection.js";
import { showMode } from "./js/connection_state.js";
import { showControls } from "./js/controls.js";
import { byId, show } from "./js/dom.js";
import { showEnding } from "./js/ending.js";
import { addEntries, showEntryCount } from "./js/entries.js";
import { showFacets } from "./js/facets.js";
import { extend, restart } from "./js/history.js";
import { showMesh, showPeers } from "./js/mesh.js";
import { showModels } from "./js/models.js";
import { showNames } from "./js/names.js";
import { showOverview } from "./js/overview.js";

let latest = null;
let mode = null;

const isConnected = () => mode === "live" || mode === "polling";

function showAll(metrics) {
  latest = metrics;
  showControls(metrics, isConnected());
  showOverview(metrics);
  showModels(metrics);
  showEntryCount(metrics);
  showMesh(metrics);
  showEnding(metrics);
  announce(metrics);
  redraw(metrics);
}

/** Another run may be served here later; what this page shows is kept until asked. */
function isOtherRun(metrics) {
  return latest !== null && metrics.run_id !== latest.run_id;
}

const connection = new Connection({
  items: addEntries,
  peers: showPeers,
  facets: showFacets,
  names: showNames,

  snapshot(metrics) {
    if (isOtherRun(metrics)) {
      show(byId("other-run"), true);
      return false;
    }
    restart(metrics.history ?? []);
    showAll(metrics);
    // After the first numbers are painted: the chart library keeps the browser busy for a while.
    requestAnimationFrame(() => setTimeout(loadCharts));
    return true;
  },

  metrics(metrics) {
    if (latest === null || isOtherRun(metrics)) return;
    if (metrics.state !== "stopped") extend(metrics);
    showAll(metrics);
  },

  state(frame) {
    if (latest === null) return;
    const { state, stop_reason, run_dir, reopen_command } = frame;
    const actions = ["draining", "stopped"].includes(state) ? [] : latest.actions;
    showAll({ ...latest, state, stop_reason, run_dir, reopen_command, actions });
  },

  mode(newMode) {
    mode = newMode;
    showMode(mode, latest);
    showControls(latest, isConnected());
    if (latest) showMesh(latest);
  },
});

byId("show-other-run").addEventListener("click", () => location.reload());
connection.start();
