// Pause, resume, stop. What the run makes of it shows in its state, not here.

import { byId, setText, show, toast } from "./dom.js";
import { control } from "./requests.js";

let state = "";

export function showControls(newState, isConnected) {
  state = newState;
  show(byId("controls"), !["draining", "stopped"].includes(state));
  setText(byId("pause"), state === "paused" ? "Resume" : "Pause");
  for (const button of byId("controls").children) button.disabled = !isConnected;
}

async function ask(button, action) {
  button.disabled = true;
  const refused = await control({ action });
  button.disabled = false;
  if (refused) toast(`Could not ${action}: ${refused}`);
}

byId("pause").addEventListener("click", () => {
  ask(byId("pause"), state === "paused" ? "resume" : "pause");
});

byId("stop").addEventListener("click", () => byId("stop-dialog").showModal());

byId("stop-dialog").addEventListener("close", () => {
  const dialog = byId("stop-dialog");
  if (dialog.returnValue === "stop") ask(byId("stop"), "stop");
  dialog.returnValue = "";
});
