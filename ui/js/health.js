// What went wrong in the mesh, as text: who was kept out, what is lost, what nodes threw away.

import { byId, make, show } from "./dom.js";
import { count } from "./format.js";

const NODES_MAX = 5;
const WORDS = {
  handshake: "failed handshake",
  signature: "wrong signature",
  record_signature: "wrong signature of a node's record",
  run: "another run",
  version: "another version",
};
/** What repair brings twice is no trouble. */
const HARMLESS = "repeated";

let metrics = {};
let peers = [];
let shown = "";

export function showHealth(newMetrics) {
  metrics = newMetrics;
  redraw();
}

export function showDropped(newPeers) {
  peers = newPeers;
  redraw();
}

/** How many messages a node has thrown away; what repair brought twice is none. */
export const droppedCount = ({ dropped }) => Object.values(withoutHarmless(dropped)).reduce((sum, n) => sum + n, 0);

const withoutHarmless = (dropped) => Object.fromEntries(Object.entries(dropped ?? {}).filter(([reason]) => reason !== HARMLESS));

/** All that a node has thrown away, for its row. */
export function droppedText({ dropped }) {
  const text = reasonsText(withoutHarmless(dropped));
  return text ? `dropped: ${text}` : "";
}

function redraw() {
  const lines = troubles();
  if (lines.join("\n") === shown) return;
  shown = lines.join("\n");
  const list = byId("mesh-health");
  list.replaceChildren(...lines.map((line) => make("li", "", line)));
  show(list, lines.length > 0);
}

function troubles() {
  const { mesh = {}, page = {} } = metrics;
  const lost = mesh.lost_entries ?? 0;
  const nodes = peers.map((peer) => [peer.node, reasonsText(dropsOf(peer))]).filter(([, text]) => text);
  const lines = nodes.slice(0, NODES_MAX).map(([node, text]) => `Dropped by ${node}: ${text}`);
  if (nodes.length > NODES_MAX) lines.push(`Dropped by ${count(nodes.length - NODES_MAX)} more nodes: see the table`);
  const refused = reasonsText(mesh.refused ?? {});
  const turnedAway = reasonsText(page.refused ?? {});
  if (turnedAway) lines.unshift(`Refused by this page: ${turnedAway}`);
  if (refused) lines.unshift(`Refused connections: ${refused}`);
  if (lost) lines.unshift(`Lost: ${count(lost)} ${lost === 1 ? "entry" : "entries"} nobody holds`);
  return lines;
}

/** What the collector refused is told as such, not once more as its drops. */
function dropsOf({ model, dropped = {} }) {
  const told = model ? {} : metrics.mesh?.refused ?? {};
  return Object.fromEntries(Object.entries(withoutHarmless(dropped)).filter(([reason]) => !(reason in told)));
}

/** { unknown_key: 3, revoked_key: 1 } → "3 unknown key, 1 revoked key", the most first. */
function reasonsText(counts) {
  return Object.entries(counts).filter(([, n]) => n > 0).sort(([, n], [, m]) => m - n)
    .map(([reason, n]) => `${count(n)} ${WORDS[reason] ?? reason.replaceAll("_", " ")}`).join(", ");
}
