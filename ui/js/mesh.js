// The mesh: how it stands in one line, its nodes as a picture and in a table; another model for a
// producer, one producer more or less.

import { allows, whileBusy } from "./controls.js";
import { byId, keepRows, make, setText, show, toast } from "./dom.js";
import { count, counted, milliseconds, modelName } from "./format.js";
import { droppedCount, droppedText, showDropped, showHealth } from "./health.js";
import { drawPicture } from "./mesh_picture.js";
import { modelLabel } from "./model_label.js";
import { isOver, numbered } from "./nodes.js";
import { control } from "./requests.js";
import { whenSeen } from "./seen.js";

let models = [];
let latest = { peers: [] };
let metrics = null;

export function showMesh(newMetrics) {
  metrics = newMetrics;
  models = metrics.available_models ?? [];
  setText(byId("mesh-line"), meshText(metrics));
  showHealth(metrics);
  showAdding();
  draw();
}

export function showPeers({ peers }) {
  latest = { peers: numbered(peers) };
  setText(byId("nav-mesh"), count(peers.filter((peer) => !isOver(peer)).length));
  showDropped(peers);
  draw();
}

const draw = whenSeen(byId("mesh-card"), () => {
  const { peers } = latest;
  drawPicture(byId("mesh-picture"), peers, metrics);
  show(byId("peers-table"), peers.length > 0);
  keepRows(byId("peers"), peers, (peer) => peer.key, peerRow, updateRow);
});

function meshText({ mesh, state }) {
  if (!mesh || state === "stopped") return mesh?.peers_alive ? aliveText(mesh) : "The run is over: no node is running.";
  const delay = milliseconds(mesh.propagation_ms_p50);
  const worst = milliseconds(mesh.propagation_ms_p99);
  const parts = [aliveText(mesh), mesh.converged ? "all know the same" : `${counted(mesh.missing_entries, "entry", "entries")} on their way`];
  if (delay) parts.push(`an entry reaches the others in ${delay}${worst ? ` (99 %: ${worst})` : ""}`);
  return parts.join(" · ");
}

const aliveText = ({ peers_alive: n }) => `${counted(n, "producer")} alive`;

// The table

function peerRow({ node, key }) {
  const element = make("tr");
  const head = make("th");
  head.scope = "row";
  const dot = make("span", "dot");
  const state = make("span", "peer-state");
  head.append(dot, make("span", "", key), state);
  const [model, knows, behind, heard, dropped, removal] = Array.from({ length: 6 }, () => make("td"));
  model.className = "peer-model";
  const remove = make("button", "quiet", "Remove");
  remove.type = "button";
  remove.setAttribute("aria-label", `Remove ${node}`);
  remove.addEventListener("click", () => askToRemove(node));
  removal.append(remove);
  element.append(head, model, knows, behind, heard, dropped, removal);
  return { element, dot, state, model, knows, behind, heard, dropped, remove };
}

function updateRow(row, peer) {
  row.dot.dataset.health = peer.health;
  const restarts = peer.restarts ? `restarted ${count(peer.restarts)}×` : "";
  setText(row.state, [peer.health === "well" && peer.isUsual ? "" : peer.state, restarts].filter(Boolean).join(", "));
  setText(row.knows, count(peer.known_count));
  // A node that has left reads no more: what was said after it is nothing that it lacks.
  setText(row.behind, isOver(peer) ? "–" : count(peer.behind));
  setText(row.heard, milliseconds(peer.propagation_ms_p50) ?? "–");
  row.heard.title = peer.propagation_ms_p99 ? `99 %: ${milliseconds(peer.propagation_ms_p99)}` : "";
  setText(row.dropped, count(droppedCount(peer)));
  row.dropped.title = droppedText(peer);
  show(row.remove, allows("remove_producer") && peer.isProducer && !isOver(peer) && peer.health !== "gone");
  showModel(row, peer);
}

function showModel(row, peer) {
  const canChange = allows("set_model") && models.length > 1 && peer.model && !isOver(peer) && peer.health !== "gone";
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
    toast(refused ? `Not changed: ${refused}` : `${peer.node} asks ${modelName(model)} from its next call on.`);
    row.shown = "";
    select.blur();
  });
  const choice = make("span", "choice");
  choice.append(modelLabel(peer.model), select);
  return choice;
}

// One producer more, one less

function showAdding() {
  show(byId("add-producer"), allows("add_producer"));
  const select = byId("add-model");
  show(select, models.length > 1);
  const key = models.join("\n");
  if (select.choices === key || select === document.activeElement) return;
  select.choices = key;
  select.replaceChildren(new Option("next model in turn", ""), ...models.map((model) => new Option(modelName(model), model)));
}

byId("add-button").addEventListener("click", () => whileBusy(byId("add-button"), async () => {
  const model = byId("add-model").value;
  const refused = await control(model ? { action: "add_producer", model } : { action: "add_producer" });
  toast(refused ? `Not added: ${refused}` : "One more producer is starting; it joins in some seconds.");
}));

let removing = "";

function askToRemove(node) {
  removing = node;
  setText(byId("remove-title"), `Remove ${node}?`);
  byId("remove-dialog").showModal();
}

byId("remove-dialog").addEventListener("close", async () => {
  const dialog = byId("remove-dialog");
  const wanted = dialog.returnValue === "remove";
  dialog.returnValue = "";
  if (!wanted) return;
  const node = removing;
  const refused = await control({ action: "remove_producer", node });
  toast(refused ? `Not removed: ${refused}` : `${node} finishes its call, hands over and leaves.`);
});
