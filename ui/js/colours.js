// One colour a model, the same in table, charts, entries and mesh.

// Tell apart on light and dark ground, also for most colour-blind readers in this order.
const PALETTE = ["#3f7fe0", "#e08a1e", "#1fa37a", "#b05fd0", "#e0567a", "#1d9fb5", "#8c8f2a", "#8a7260"];

const assigned = new Map();

/** Fix the colours of `models` in alphabetical order; a model keeps the colour it has. */
export function assignColours(models) {
  for (const model of [...models].sort()) {
    if (!assigned.has(model)) assigned.set(model, PALETTE[assigned.size % PALETTE.length]);
  }
}

export function colourOf(model) {
  assignColours([model]);
  return assigned.get(model);
}
