// The mesh: how it stands in one line, its nodes in a table, another model for a producer.

import { byId, make, setText, show, toast } from "./dom.js";
import { count, milliseconds } from "./format.js";
import { droppedText, showDropped, showHealth } from "./health.js";
import { control, getJson } from "./requests.js";
import { modelLabel } from "./numbers.js";

const REFRESH_MS = 2000;
const WELL = new Set(["alive", "running", "asking"]);
const GONE = new Set(["dead", "left"]);
const OVER = new Set(["left", "stopped"]);

let models = [];
let steerable = false;

export function showMesh(metrics) {
  models = metrics.available_models ?? [];
  steerable = !["draining", "stopped"].includes(metrics.state) && models.length > 1;
  setText(byId("mesh-line"), meshText(metrics));
  showHealth(metrics);
}

function meshText({ mesh, state }) {
  if (!mesh || state === "stopped") return mesh?.peers_alive ? aliveText(mesh) : "No node is running.";
  const delay = milliseconds(mesh.propagation_ms_p50);
  const worst = milliseconds(mesh.propagation_ms_p99);
  const parts = [aliveText(mesh), mesh.converged ? "in step" : `${count(mesh.missing_entries)} entries on their way`];
  if (delay) parts.push(`an entry reaches the others in ${delay}${worst ? ` (99 %: ${worst})` : ""}`);
  return parts.join(" · ");
}

const aliveText = ({ peers_alive: n }) => `${count(n)} ${n === 1 ? "peer" : "peers"} alive`;

/** Ask for the nodes. */
export async function refreshPeers() {
  try {
    const { peers } = await getJson("api/peers");
    showPeers(peers);
    showDropped(peers);
  } catch {
    // The connection's own state says so already.
  }
}

/** Ask for the nodes every other second while `isConnected()` and the page is seen. */
export function keepPeers(isConnected) {
  setInterval(() => { if (isConnected() && !document.hidden) refreshPeers(); }, REFRESH_MS);
}

const rows = new Map();

function showPeers(peers) {
  show(byId("peers-table"), peers.length > 0);
  const names = new Set(peers.map((peer) => peer.node));
  for (const [name, row] of rows) if (!names.has(name)) { row.element.remove(); rows.delete(name); }
  for (const peer of peers) {
    let row = rows.get(peer.node);
    if (!row) {
      row = peerRow(peer.node);
      rows.set(peer.node, row);
      byId("peers").append(row.element);
    }
    updateRow(row, peer);
  }
}

function peerRow(name) {
  const element = make("tr");
  const head = make("th");
  head.scope = "row";
  const dot = make("span", "dot");
  const state = make("span", "peer-state");
  head.append(dot, make("span", "", name), state);
  const [model, knows, behind] = [make("td", "peer-model"), make("td"), make("td")];
  element.append(head, model, knows, behind);
  return { element, dot, state, model, knows, behind, name };
}

function updateRow(row, peer) {
  row.dot.dataset.health = healthOf(peer.state);
  row.dot.title = peer.state;
  const restarts = peer.restarts ? `restarted ${count(peer.restarts)}×` : "";
  setText(row.state, [WELL.has(peer.state) ? "" : peer.state, restarts].filter(Boolean).join(", "));
  setText(row.knows, count(peer.known_count));
  // A node that has left reads no more: what was said after it is nothing that it lacks.
  setText(row.behind, OVER.has(peer.state) ? "–" : count(peer.behind));
  row.behind.title = droppedText(peer);
  showModel(row, peer);
}

function healthOf(state) {
  if (OVER.has(state)) return "over";
  if (GONE.has(state)) return "gone";
  return state === "suspect" || state === "unheard" || state.startsWith("waiting") ? "doubtful" : "well";
}

function showModel(row, peer) {
  const canChange = steerable && peer.model && !GONE.has(peer.state);
  const key = `${canChange}|${peer.model}|${models.join("|")}`;
  if (row.shown === key || row.model.contains(document.activeElement)) return;
  row.shown = key;
  if (!peer.model) row.model.replaceChildren();
  else row.model.replaceChildren(canChange ? modelChoice(row, peer) : modelLabel(peer.model));
}

/** The label, and over it a choice of the run's models. */
function modelChoice(row, peer) {
  const select = make("select");
  select.setAttribute("aria-label", `Model of ${peer.node}`);
  for (const model of new Set([...models, peer.model])) select.append(new Option(model, model));
  select.value = peer.model;
  select.addEventListener("change", async () => {
    const model = select.value;
    const refused = await control({ action: "set_model", node: peer.node, model });
    toast(refused ? `Not changed: ${refused}` : `${peer.node} uses ${model} from its next call on.`);
    row.shown = "";
    select.blur();
  });
  const choice = make("span", "choice");
  choice.append(modelLabel(peer.model), select);
  return choice;
}
