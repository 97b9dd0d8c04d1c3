// What the state of a node means to a person, and in which order nodes are shown.

const WELL = new Set(["alive", "running", "asking", "calling"]);
const GONE = new Set(["dead"]);
const OVER = new Set(["left", "stopped"]);

export const isOver = (peer) => OVER.has(peer.state);

/** `peers` with what follows from each: health, whether its state needs telling, its number, a key
 *  that no other has. */
export function numbered(peers) {
  const told = peers.map((peer) => ({
    ...peer,
    health: healthOf(peer.state),
    isUsual: WELL.has(peer.state),
    isProducer: peer.role ? peer.role === "producer" : peer.node !== "collector",
    number: Number(/(\d+)$/.exec(peer.node)?.[1] ?? 0),
    machine: peer.node.replace(/-?(producer-\d+|collector)$/, ""),
  }));
  told.sort((a, b) => a.isProducer - b.isProducer || (a.machine < b.machine ? -1 : Number(a.machine > b.machine)) || a.number - b.number);
  // Machines may be named alike, and their nodes with them.
  const namesakes = new Map();
  for (const peer of told) {
    const before = namesakes.get(peer.node) ?? 0;
    namesakes.set(peer.node, before + 1);
    peer.key = before ? `${peer.node} (${before + 1})` : peer.node;
  }
  return told;
}

function healthOf(state) {
  if (OVER.has(state)) return "over";
  if (GONE.has(state)) return "gone";
  const isDoubtful = state === "suspect" || state === "unheard" || /^(waiting|cannot)/.test(state);
  return isDoubtful ? "doubtful" : "well";
}
