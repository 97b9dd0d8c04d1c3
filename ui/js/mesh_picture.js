// The mesh as a picture: the collector in the middle, producers around it, a line between any two
// that hear each other. A node wears its model's colour; the arc around it is how much of all that
// is known it knows. The table below says the same in words.

import { colourOf } from "./colours.js";
import { makeSvg, setAttributes } from "./dom.js";
import { compactCount, count, counted, milliseconds, modelName } from "./format.js";
import { droppedText } from "./health.js";
import { isOver } from "./nodes.js";

const LANDSCAPE = { width: 640, height: 440 };
/** On a phone nodes keep a size that can be read and tapped. */
const PORTRAIT = { width: 380, height: 470 };
const PORTRAIT_PX_MAX = 480;
const RING_MAX = 18;
const LABELLED_MAX = 12;
const COLLECTOR_RADIUS = 34;

let shown = new Map();

/** Draw `peers` (nodes.js, numbered) into `svg`. */
export function drawPicture(svg, peers, metrics) {
  const layers = layersOf(svg);
  const frame = svg.clientWidth < PORTRAIT_PX_MAX ? PORTRAIT : LANDSCAPE;
  setAttributes(svg, { viewBox: `0 0 ${frame.width} ${frame.height}` });
  const places = placed(peers, frame);
  const known = Math.max(1, ...peers.map((peer) => peer.known_count));
  drawLinks(layers, places);
  const keys = new Set(peers.map((peer) => peer.key));
  for (const [key, node] of shown) if (!keys.has(key)) { node.group.remove(); shown.delete(key); }
  for (const place of places) drawNode(layers.nodes, place, known, places.length <= LABELLED_MAX);
  setAttributes(svg, { "aria-label": described(peers, metrics) });
}

function layersOf(svg) {
  if (!svg.layers) {
    const well = makeSvg("path", { class: "links" });
    const broken = makeSvg("path", { class: "links broken" });
    const nodes = makeSvg("g");
    svg.append(well, broken, nodes);
    svg.layers = { well, broken, nodes };
    shown = new Map();
  }
  return svg.layers;
}

// Where nodes stand

/** Each peer with its place and size; producers in one ring, or in two or three where they are many. */
function placed(peers, frame) {
  const producers = peers.filter((peer) => peer.isProducer);
  const rings = Math.max(1, Math.ceil(producers.length / RING_MAX));
  const radius = producers.length <= 8 ? 26 : producers.length <= RING_MAX ? 20 : producers.length <= 54 ? 14 : 10;
  const others = peers.filter((peer) => !peer.isProducer);
  const middle = others.map((peer, index) => ({
    peer, radius: COLLECTOR_RADIUS, x: frame.width / 2 + (index - (others.length - 1) / 2) * 80, y: frame.height / 2,
  }));
  return [...middle, ...producers.map((peer, index) => ({ peer, radius, ...spot(index, producers.length, rings, frame) }))];
}

/** Neighbours by number stand in neighbouring rings, so that each ring goes once around. */
function spot(index, total, rings, { width, height }) {
  const ring = index % rings;
  const inRing = Math.ceil((total - ring) / rings);
  const step = Math.floor(index / rings);
  const angle = (2 * Math.PI * (step + (ring % 2) / 2)) / inRing - Math.PI / 2;
  const share = rings === 1 ? 1 : 1 - (0.46 * (rings - 1 - ring)) / (rings - 1);
  return {
    x: width / 2 + share * (width / 2 - width / 10) * Math.cos(angle),
    y: height / 2 - 6 + share * (height / 2 - 46) * Math.sin(angle),
  };
}

// Links: two paths for all of them, however many there are

function drawLinks(layers, places) {
  const well = [];
  const broken = [];
  const allOver = places.every(({ peer }) => isOver(peer));
  for (const [index, a] of places.entries()) {
    for (const b of places.slice(index + 1)) {
      // A run that is over is shown as it was; of one that goes on those who have left have no links.
      if (isOver(a.peer) !== isOver(b.peer) || (isOver(a.peer) && !allOver)) continue;
      const isBroken = !isHeard(a.peer) || !isHeard(b.peer);
      // Of what is broken the line to the middle tells enough.
      if (isBroken && places.length > LABELLED_MAX && a.peer.isProducer && b.peer.isProducer) continue;
      (isBroken ? broken : well).push(`M${a.x.toFixed(1)} ${a.y.toFixed(1)}L${b.x.toFixed(1)} ${b.y.toFixed(1)}`);
    }
  }
  setAttributes(layers.well, { d: well.join("") || "M0 0", "stroke-opacity": Math.max(0.1, Math.min(0.8, 12 / (well.length + 1))).toFixed(2) });
  setAttributes(layers.broken, { d: broken.join("") || "M0 0" });
}

const isHeard = ({ health, state }) => health !== "gone" && state !== "suspect" && state !== "unheard";

// Nodes

function drawNode(layer, { peer, x, y, radius }, known, isLabelled) {
  let node = shown.get(peer.key);
  if (!node) {
    node = newNode(peer);
    shown.set(peer.key, node);
    layer.append(node.group);
  }
  setAttributes(node.group, { transform: `translate(${x.toFixed(1)} ${y.toFixed(1)})`, "data-health": peer.health });
  node.group.style.setProperty("--model", peer.model ? colourOf(peer.model) : "var(--muted)");
  setAttributes(node.disc, { r: radius });
  setAttributes(node.arc, { d: arc(radius + 3.5, peer.known_count / known) });
  const label = peer.isProducer ? String(peer.number || "•") : compactCount(peer.known_count);
  setAttributes(node.label, { "font-size": Math.max(10, Math.min(0.68 * radius, (2.6 * radius) / label.length)).toFixed(1) });
  node.label.textContent = label;
  const below = peer.isProducer ? compactCount(peer.known_count) : "collector";
  setAttributes(node.caption, { y: radius + 19, display: isLabelled || !peer.isProducer ? "inline" : "none" });
  node.caption.textContent = peer.health === "well" || peer.health === "over" ? below : shortState(peer.state);
  const isBehind = !isOver(peer) && peer.behind > 0;
  setAttributes(node.badge, { transform: `translate(0 ${-radius - 8})`, display: isBehind ? "inline" : "none" });
  const behind = `−${compactCount(peer.behind)}`;
  if (node.badgeText.textContent !== behind) {
    node.badgeText.textContent = behind;
    setAttributes(node.badgePill, { x: -4 - 3.2 * behind.length, width: 8 + 6.4 * behind.length });
  }
  node.title.textContent = titleOf(peer);
}

function newNode(peer) {
  const group = makeSvg("g", { class: peer.isProducer ? "node" : "node collector" });
  const title = makeSvg("title");
  const disc = makeSvg("circle", { class: "disc" });
  const arcPath = makeSvg("path", { class: "arc" });
  const label = makeSvg("text", { class: "node-label", dy: "0.35em" });
  const caption = makeSvg("text", { class: "node-caption" });
  const badge = makeSvg("g", { class: "node-badge" });
  const badgePill = makeSvg("rect", { y: -8, height: 16, rx: 8 });
  const badgeText = makeSvg("text", { dy: "0.35em" });
  badge.append(badgePill, badgeText);
  group.append(title, disc, arcPath, label, caption, badge);
  return { group, title, disc, arc: arcPath, label, caption, badge, badgePill, badgeText };
}

/** A circle's part from its top on, `share` of it. */
function arc(radius, share) {
  if (share <= 0) return "M0 0";
  const angle = 2 * Math.PI * Math.min(0.9999, share);
  const [x, y] = [radius * Math.sin(angle), -radius * Math.cos(angle)];
  return `M0 ${-radius}A${radius} ${radius} 0 ${share > 0.5 ? 1 : 0} 1 ${x.toFixed(2)} ${y.toFixed(2)}`;
}

const shortState = (state) => (state.length > 14 ? `${state.slice(0, 13)}…` : state);

function titleOf(peer) {
  const parts = [
    `${peer.node}: ${peer.state}`,
    peer.model ? modelName(peer.model) : "",
    `knows ${count(peer.known_count)}`,
    isOver(peer) ? "" : peer.behind ? `${count(peer.behind)} behind` : "not behind",
    peer.propagation_ms_p50 ? `hears in ${milliseconds(peer.propagation_ms_p50)}` : "",
    peer.restarts ? `restarted ${count(peer.restarts)}×` : "",
    droppedText(peer),
  ];
  return parts.filter(Boolean).join("\n");
}

function described(peers, metrics) {
  const producers = peers.filter((peer) => peer.isProducer);
  const bad = peers.filter((peer) => peer.health === "doubtful" || peer.health === "gone");
  const parts = [`The mesh: the collector and ${counted(producers.length, "producer")}`];
  if (bad.length) parts.push(`in trouble: ${bad.slice(0, 5).map((peer) => `${peer.node} (${peer.state})`).join(", ")}`);
  if (metrics?.mesh && metrics.state !== "stopped") parts.push(metrics.mesh.converged ? "all know the same" : "entries are on their way");
  return parts.join("; ");
}
